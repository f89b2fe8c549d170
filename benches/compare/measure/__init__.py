"""Comparison of qshare with other programs. Standard library only.

`command_line` picks works and places; `copies`, `links`, `hashing` and `startup` run works; `programs`, `qshare` and
`peers` know how each program is started; `process`, `places` and `files` are what they stand on; `table` is pure.
"""
