"""Data sets: names and folders -> labelled uint8 pictures, and their views for training."""

from convarium.data.augment import centre_crop
from convarium.data.form import InputForm
from convarium.data.load import Survey, load_dataset, survey_dataset
from convarium.data.model import Dataset, PixelScale, Split
from convarium.data.normalise import normalised
from convarium.data.parts import carve
from convarium.data.pictures import BadPicturesError
from convarium.data.views import Views, training_views

__all__ = [
    "BadPicturesError",
    "Dataset",
    "InputForm",
    "PixelScale",
    "Split",
    "Survey",
    "Views",
    "carve",
    "centre_crop",
    "load_dataset",
    "normalised",
    "survey_dataset",
    "training_views",
]
