"""The makers of hostile files, by what is opened; importing one puts its cases into `tests.hostile.case.CASES`."""
