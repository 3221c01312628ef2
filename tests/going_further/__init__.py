"""Tests of what comes after the labs."""


def exit_status(main, *arguments) -> int:
    """The status with which a script ends."""
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return stop.code
    return 0
