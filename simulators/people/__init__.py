"""Made-up people: who they are, what they measure, how treatment changes them. Judges nothing.

``parameters`` holds every number with its source, ``traits`` draws who lives in a town, ``town``
lets days pass and gives the readings of a day, ``care`` is what doctors and residents do about
them, ``population`` writes the town for the contract system, ``portrait`` says what it is like.
Numpy only, columns, one row a resident; the same plan and seed give the same people bit for bit.
"""
