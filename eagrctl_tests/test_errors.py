from eagrctl.errors import did_you_mean


def test_a_word_that_is_close_is_suggested_and_no_other() -> None:
    assert did_you_mean("epohcs", ["epochs", "batch"]) == " (did you mean 'epochs'?)"
    assert did_you_mean("colour", ["epochs", "batch"]) == ""
