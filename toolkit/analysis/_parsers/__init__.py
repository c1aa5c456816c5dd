"""One module per kind of source: bytes in, typed records and `Damage` out.

Any bytes parse, or raise `InputError`; no other error leaves a parser.
"""
