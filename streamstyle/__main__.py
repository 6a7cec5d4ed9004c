"""`python -m streamstyle`."""

import sys

from streamstyle.cli import main

sys.exit(main())
