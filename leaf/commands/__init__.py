"""The thin commands of `leaf`: each asks the daemon of its home one thing and prints the answer.

Nothing is decided here but how an answer looks; the documents of `--json` are the results of the
method table as they come. Modules behind a command are imported when it runs, so that a command
starts in little more than the time of the interpreter.
"""
