"""The plain evaluator: the clinical decision table once more, row by row, without ``rules``.

Written from the table alone, so that the engine and the whole system can be judged by somebody who
has not seen them: the tests of the rules compare with it, and so does ``suifang reconcile`` over
what a rehearsal truly measured. It is slow and says nothing for speed's sake.
"""
