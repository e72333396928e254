"""Well-known networks, each a page of layers: functions that give a `Functional` model, with arguments as in ``keras.applications``."""

from __future__ import annotations

from insitu.vision.models.lenet import LeNet, MNISTNet
from insitu.vision.models.mobilenet import MobileNetV2
from insitu.vision.models.resnet import ResNet18, ResNet34, ResNet50, ResNet101
from insitu.vision.models.squeezenet import SqueezeNet
from insitu.vision.models.unet import UNet
from insitu.vision.models.vgg import VGG16, VGG19

__all__ = ["VGG16", "VGG19", "LeNet", "MNISTNet", "MobileNetV2", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "SqueezeNet", "UNet"]
