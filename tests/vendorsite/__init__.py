"""The vendor's side, imitated: solution bundles, SBE files and a web server with faults.

It knows the vendor's published formats only and never imports `toolkit`.
"""
