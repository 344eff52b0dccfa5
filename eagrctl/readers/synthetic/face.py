"""What makes one painted face differ from another."""

from dataclasses import dataclass

Colour = tuple[float, float, float]
Capsule = tuple[float, float, float, float, float]  # from x, y to x, y, radius

INK: Colour = (0.07, 0.05, 0.05)


def times(colour: Colour, factor: float) -> Colour:
    """A colour brightened or darkened."""
    red, green, blue = (min(1.0, channel * factor) for channel in colour)
    return red, green, blue


@dataclass(frozen=True)
class Hairstyle:
    """How hair lies around a head, in units of the head frame."""

    beside: float  # volume at the sides of the skull
    above: float  # and on top
    length: float  # the v where it ends
    line: float  # the v where it begins above the forehead
    side: float  # the v that this line reaches at the temples
    power: float  # how abruptly it does
    parting: float = 0.0
    jag: float = 0.0
    curl: tuple[float, float, float] = (0.0, 1.0, 0.0)  # amplitude, waves around the head, phase


@dataclass(frozen=True)
class PaintedFace:
    """All that is drawn from a seed. Lengths are in surface units, angles in radians, colours RGB from 0 to 1."""

    roll: float
    yaw: float
    pitch: float
    scale: float  # frame heights per surface unit
    centre: tuple[float, float]  # of the head, in frame heights
    perspective: tuple[float, float]

    width: float
    jaw: float  # how much the face narrows towards the chin
    squareness: float  # exponent of the outline: 2 is an ellipse
    skin: Colour
    blush: float
    freckles: float
    beard: float  # opacity; 0 is clean-shaven
    beard_line: float

    eye_gap: float  # from the nose's axis to an eye's centre
    eye_width: float
    eye_open: tuple[float, float]  # left, right
    eye_tilt: float
    gaze: tuple[float, float]
    iris: Colour
    sclera: float
    lashes: float
    eye_shadow: Colour
    eye_shadow_opacity: float

    brow_height: float
    brow_width: float
    brow_thickness: float
    brow_arch: float
    brow_slope: float
    brow: Colour

    nose_top: float
    nose_base: float
    nose_bridge: float
    nose_width: float
    nose_depth: float
    nose_line: float  # opacity of the outline

    mouth_height: float
    mouth_width: float
    mouth_gap: float  # 0 is closed
    smile: float
    lips: tuple[float, float]  # thickness of the upper and the lower
    lip: Colour
    teeth: float  # part of the gap they fill

    hair: Colour
    hairstyle: Hairstyle | None  # None is bald
    sheen: float

    cloth: Colour
    glasses: Colour | None
    glasses_shape: tuple[float, float, float]  # radius, exponent, thickness
    lens: Colour
    lens_opacity: float
    occluder: tuple[Capsule, ...]  # in the head frame
    occluder_colour: Colour
    occluder_stripes: float

    backdrop: tuple[Colour, Colour]
    backdrop_angle: float
    backdrop_mottle: float
    backdrop_shapes: tuple[tuple[Capsule, Colour], ...]  # in frame heights

    light: tuple[float, float, float]  # towards the lamp: right, down, to the viewer
    ambient: float
    cast: Colour
    gradient: tuple[float, float]
    contrast: float
    brightness: float
    blur: float  # in frame heights
    noise: float
    texture: int  # seed of the textures
