"""``python -m eosfast.cli``."""

import sys

from eosfast.cli import main

sys.exit(main())
