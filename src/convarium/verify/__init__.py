"""Facts against rows -> verdicts: does our network agree with what its paper prints?"""
