"""Wire contract v1, and all of the gateway that other folders may import.

Few imports: this package runs on edge boxes and inside every server process.
It says what a well-formed reading is; whether one is *worrying* is the job of ``rules``.
"""
