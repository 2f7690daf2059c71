#!/usr/bin/env python
from project.command_line import main

if __name__ == "__main__":
    main()
