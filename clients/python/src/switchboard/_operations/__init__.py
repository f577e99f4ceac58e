"""What the client does, without doing it: the one place of its logic.

An operation is a generator. It yields what must be done (`effects`), is sent what came of it or
has an error thrown into it, and returns its result. The drivers of the two clients, one that
blocks and one that awaits, carry effects out and know nothing else.
"""
