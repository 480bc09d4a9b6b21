"""`python -m seatrial`: the same as the command `seatrial`."""

import sys

from seatrial.cli.main import main

sys.exit(main())
