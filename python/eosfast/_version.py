"""The version of eosfast: the one place, read by the build, the compiled core and the package."""

__version__ = "0.1.0"
