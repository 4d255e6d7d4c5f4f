"""The programs of a local cluster: built from Go modules, unpacked from Debian packages, or those of the machine."""
