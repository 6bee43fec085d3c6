"""`tutelage tune`: which threshold, and what it promises. The science is `router.tuning`.

commands   the command line
report     reads the traces, asks `router.tuning`, prints
tables     how it looks in a terminal
chart      the same as a picture: SVG, without a plotting library
"""
