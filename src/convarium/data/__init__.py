"""Data sets: names and folders -> labelled uint8 pictures, and their views for training."""

from convarium.data.augment import augment, centre_crop
from convarium.data.form import InputForm
from convarium.data.load import Survey, load_dataset, survey_dataset
from convarium.data.model import Dataset, PixelScale, Split
from convarium.data.parts import carve
from convarium.data.pictures import BadPicturesError

__all__ = [
    "BadPicturesError",
    "Dataset",
    "InputForm",
    "PixelScale",
    "Split",
    "Survey",
    "augment",
    "carve",
    "centre_crop",
    "load_dataset",
    "survey_dataset",
]
