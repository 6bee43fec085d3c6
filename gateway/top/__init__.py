"""`tutelage top`: how a running gateway is doing, live in a terminal; it reads only `/metrics`.

commands   the command line
showing    one gateway, live or once
scrape     fetches the metrics
look       one look: every series and its value
window     the looks of the last minute: what was counted meanwhile
picture    what people ask: how many, by whom, why, how long, which engine
lines      the same as rows of text
screen     the live page (textual, the extra `console`)
once       the same on paper
"""
