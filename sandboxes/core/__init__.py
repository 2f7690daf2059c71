"""The rules, without Django, a database or a socket: what a sandbox is, and what happens to it next.

`decide` is the only place where it is decided; everything else here is what it is made of.
"""
