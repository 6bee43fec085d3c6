"""The loop that makes the next student: examples, a teacher, its soft targets, a student, figures.

Axis legend for tensor names: B batch row, T token of a row, P token of the prompt prefix that all
rows share, N picked position, V vocabulary, S symbol that decides (a label or a digit), D width.
"""
