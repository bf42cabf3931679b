"""The two residual trunks of GLAM; parameter names are those of the published checkpoints."""

from torch import Tensor, nn
from torch.nn.functional import relu

from glam_node.inference.glam.shape import PUBLISHED, NetworkShape


def _conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class PreActivationBlock(nn.Module):
    """Residual block that normalises before each convolution; no layer follows the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, project: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)) if project else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features from N x in x H x W to N x out x H/stride x W/stride."""
        activated = relu(self.bn1(x), inplace=True)
        inner = relu(self.bn2(self.conv1(activated)), inplace=True)
        result: Tensor = self.conv2(inner)
        # The widest block sets the peak of memory: free what is no longer needed before the shortcut is computed.
        del inner
        return result.add_(x if self.downsample is None else self.downsample(activated))


class GlobalTrunk(nn.Module):
    """The global network's trunk; as published, a ResNet-22 of five stages.

    The first convolution has neither batch norm nor activation.
    """

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        self.first_conv = nn.Conv2d(1, shape.global_stem_channels, 7, 2, padding=3, bias=False)
        self.first_pool = nn.MaxPool2d(3, 2) if shape.global_stem_pool else nn.Identity()
        inputs = (shape.global_stem_channels, *shape.global_channels)
        self.layer_list = nn.ModuleList(
            _pre_activation_stage(in_channels, out_channels, stride, shape.global_blocks)
            for in_channels, out_channels, stride in zip(
                inputs, shape.global_channels, shape.global_strides, strict=False
            )
        )
        self.final_bn = nn.BatchNorm2d(shape.global_channels[-1])

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of the last three stages; only the last ones are normalised and activated.

        As published they have 1/16, 1/32 and 1/64 of the window's sides.
        """
        x = self.first_pool(self.first_conv(windows))
        features = []
        for stage in self.layer_list:
            x = stage(x)
            features.append(x)
        return features[-3], features[-2], relu(self.final_bn(x))


def _pre_activation_stage(in_channels: int, out_channels: int, stride: int, blocks: int) -> nn.Sequential:
    following = (PreActivationBlock(out_channels, out_channels, 1, project=False) for _ in range(blocks - 1))
    return nn.Sequential(PreActivationBlock(in_channels, out_channels, stride, project=True), *following)


class BasicBlock(nn.Module):
    """Residual block that activates after the sum; the shortcut is projected where the width changes."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = (
            None
            if in_channels == out_channels
            else nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features from N x in x H x W to N x out x H x W."""
        inner = relu(self.bn1(self.conv1(x)), inplace=True)
        result: Tensor = self.bn2(self.conv2(inner))
        del inner
        return relu(result.add_(x if self.downsample is None else self.downsample(x)), inplace=True)


class LocalTrunk(nn.Module):
    """The local network's trunk; as published, a ResNet-34 whose four stages all keep 1/4 of the patch's sides."""

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        channels = shape.local_channels
        self.conv1 = nn.Conv2d(3, channels[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if shape.local_stem_pool else nn.Identity()
        self.layer1 = _stage(channels[0], channels[0], shape.local_blocks[0])
        self.layer2 = _stage(channels[0], channels[1], shape.local_blocks[1])
        self.layer3 = _stage(channels[1], channels[2], shape.local_blocks[2])
        self.layer4 = _stage(channels[2], channels[3], shape.local_blocks[3])

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x H x W to features of N x 512 x H/4 x W/4; the channel is repeated for every input."""
        x = patches.expand(-1, self.conv1.in_channels, -1, -1)
        x = self.maxpool(relu(self.bn1(self.conv1(x)), inplace=True))
        result: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return result


def _stage(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    if not blocks:
        return nn.Sequential()
    following = (BasicBlock(out_channels, out_channels) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(in_channels, out_channels), *following)
