"""What skraee's documentation says of accuracy and speed, measured.

``python -m benchmarks.accuracy``, ``benchmarks.paper`` and ``benchmarks.speed``, from
the root of the repository; README.md beside this file says what each needs.
"""
