"""What a hostile client, or another system gone wrong, may try, and what must not come of it.

* text that drives a terminal, turns its reading direction, or is not there to be seen (`test_text.py`): refused
  where people's text comes in, and shown by signs wherever any text comes out (`test_outlets.py`);
* text on which a pattern works for minutes (`test_redaction.py`);
* parameters, paths and forms of the admin with values that no database takes (`test_admin_parameters.py`);
* look-ups that read a secret character by character (`test_admin_lookups.py`);
* whatever a seeded generator makes of the table of addresses and of the forms (`test_fuzz.py`). A failing request
  is replayed by the command that the failure prints; the long run is part of `make soak`.
"""
