"""What scores are worth: rankings, average precision, intervals, thresholds and calibration.

Arrays in, numbers out: nothing here knows of a model or a run."""
