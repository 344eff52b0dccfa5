"""The parts of a painted face, and what stands behind and before it: each reaches photo and labels in one go."""

import math

import numpy as np

from eagrctl.data.labels import BACKGROUND, HELEN
from eagrctl.readers.synthetic.canvas import Canvas, Field
from eagrctl.readers.synthetic.face import INK, Capsule, PaintedFace, times

SIDES = {-1: "left", 1: "right"}


def paint_backdrop(canvas: Canvas, face: PaintedFace) -> None:
    """A gradient, mottled, with blobs and bars on it."""
    centres = ((np.arange(len(canvas.labels)) + 0.5) / len(canvas.labels)).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    along = x * math.cos(face.backdrop_angle) + y * math.sin(face.backdrop_angle)
    near, far = (np.asarray(colour, np.float32) for colour in face.backdrop)
    canvas.image[:] = near + (far - near) * np.clip(along, 0, 1)[..., None]
    for capsule, colour in face.backdrop_shapes:
        canvas.cover(_capsule(x, y, capsule), colour)
    canvas.shade(1 + face.backdrop_mottle * canvas.coarse)


def paint_neck(canvas: Canvas, face: PaintedFace) -> None:
    """Neck, shoulders and ears: all of them background, as in Helen."""
    u, v = canvas.u, canvas.v
    half = 0.58 * canvas.half_width
    neck = np.maximum(np.abs(u - 0.08 * face.yaw) - half - 0.1 * np.square(v - 1.1), 0.4 - v)
    canvas.cover(neck, times(face.skin, 0.82))
    canvas.shade(1 - 0.35 * _bump(v - 0.98, 0.22) * (np.abs(u) < half + 0.05))
    shoulders = 1.28 + 0.22 * np.abs(u) - v
    canvas.cover(shoulders, np.asarray(face.cloth, np.float32) * (1 + 0.06 * canvas.coarse[..., None]))
    for side in SIDES:
        # The ear on the side that the head turns to disappears behind the cheek.
        centre = side * canvas.half_width * (0.99 - 0.25 * max(0.0, side * face.yaw))
        ear = np.hypot((u - centre) / 0.1, (v - 0.06) / 0.19) - 1
        canvas.cover(ear, times(face.skin, 0.88))
        canvas.tint(times(face.skin, 0.5), 0.5 * _bump(np.hypot((u - centre) / 0.06, (v - 0.05) / 0.12), 0.8))


def paint_skin(canvas: Canvas, face: PaintedFace) -> None:
    """The face's skin with all that is on it: shading, blush, freckles, beard."""
    across, down = canvas.u / canvas.half_width, canvas.v
    towards = np.sqrt(np.clip(1 - np.square(across) - np.square(down), 0.04, 1))
    right, below, front = face.light
    lit = face.ambient + (1 - face.ambient) * np.clip(across * right + down * below + towards * front, 0, 1)
    lit *= 1 + 0.03 * canvas.coarse + 0.012 * canvas.fine
    skin = np.asarray(face.skin, np.float32) * (0.25 + 0.85 * lit)[..., None]
    for side in SIDES:
        cheek = _bump(np.hypot(canvas.x - side * 0.38, canvas.y - 0.32), 0.2)[..., None]
        skin += (np.asarray((0.85, 0.35, 0.35), np.float32) * skin.mean(2, keepdims=True) - skin) * cheek * face.blush
    freckled = np.clip(canvas.fine - 1.1, 0, 0.5) * _bump(canvas.y - 0.2, 0.25) * face.freckles
    skin *= 1 - freckled[..., None]
    if face.beard:
        # Around the mouth and down the jaw, and up the cheeks to the ears as a strip.
        strip = np.square(np.clip(np.abs(canvas.x) / face.width, 0, 1)) ** 2
        grown = np.clip((canvas.y - face.beard_line + 0.42 * strip) / 0.1, 0, 1)
        grown = grown * np.clip(1 - 0.35 * _bump(canvas.x, 0.1) * _bump(canvas.y - 0.8, 0.08), 0, 1)
        opacity = (face.beard * grown * np.clip(0.85 + 0.2 * canvas.fine, 0, 1))[..., None]
        skin += (np.asarray(times(face.brow, 0.9), np.float32) * (0.5 + 0.5 * lit)[..., None] - skin) * opacity
    canvas.cover(canvas.outline(), skin, HELEN.id("skin"))


def paint_eye(canvas: Canvas, face: PaintedFace, side: int) -> None:
    """One eye with its socket, lids and lashes. The label is what the lids leave open."""
    centre, width, opened = side * face.eye_gap, face.eye_width, face.eye_open[side > 0]
    patch = canvas.patch(centre, 0, width * 2.2, 0.32)
    dx, dy = patch.x - np.float32(centre), patch.y
    cosine, sine = math.cos(side * face.eye_tilt), math.sin(side * face.eye_tilt)
    along, across = (dx * cosine + dy * sine) / width, dy * cosine - dx * sine
    bend = np.clip(1 - np.square(along), -1, 1)
    upper, lower = -opened * bend, 0.75 * opened * bend
    field = np.maximum(upper - across, across - lower)
    shadow = _bump(np.hypot(along, across / 0.14), 0.9)
    patch.tint(times(face.skin, 0.5), 0.35 * shadow)
    patch.tint(face.eye_shadow, face.eye_shadow_opacity * shadow * (across < 0))
    inside = np.clip(4.2 - 4 * np.abs(along), 0, 1)
    patch.tint(times(face.skin, 0.4), 0.6 * _bump(across - upper + 0.045, 0.012) * inside)
    white = np.asarray((1.0, 0.98, 0.96), np.float32) * face.sclera
    patch.cover(field, white * np.clip(0.8 + 3 * (across - upper), 0.6, 1)[..., None], HELEN.id(f"{SIDES[side]} eye"))
    radius = 0.42 * width + 0.012
    from_gaze = np.hypot(dx - np.float32(face.gaze[0]), across - np.float32(face.gaze[1]))
    iris = np.asarray(face.iris, np.float32) * np.clip(1.2 - 0.5 * from_gaze / radius, 0.6, 1.2)[..., None]
    patch.cover(np.maximum(field, from_gaze - radius), iris)
    patch.cover(np.maximum(field, from_gaze - 0.45 * radius), INK)
    glint = np.hypot(dx - face.gaze[0] - 0.03 * face.light[0], across - face.gaze[1] + 0.025) - np.float32(0.016)
    patch.cover(np.maximum(field, glint), (1.0, 1.0, 1.0), opacity=0.9)
    lash = np.abs(across - upper + face.lashes) - face.lashes * np.clip(1.1 - 0.5 * np.square(along), 0, 1)
    patch.cover(np.maximum(lash, width * (np.abs(along) - np.float32(1.02))), INK, opacity=0.85)
    patch.tint(times(face.skin, 0.35), 0.5 * _bump(across - lower - 0.006, 0.01) * inside)


def paint_brow(canvas: Canvas, face: PaintedFace, side: int) -> None:
    """One brow: an arch that thins outwards, combed by the fine texture."""
    centre, width = side * (face.eye_gap + 0.01), face.brow_width
    patch = canvas.patch(centre, face.brow_height, width * 1.2, 0.2)
    along = (patch.x - np.float32(centre)) * np.float32(side / width)  # 1 at the outer end
    middle = face.brow_height - face.brow_arch * (1 - np.square(along)) + face.brow_slope * along
    thickness = face.brow_thickness * (1 - 0.4 * along) * np.clip(1 - along**4, -1, 1)
    colour = np.asarray(face.brow, np.float32) * (1 + 0.12 * patch.fine[..., None])
    field = np.maximum(np.abs(patch.y - middle) - thickness, np.abs(along) - np.float32(1))
    patch.cover(field, colour, HELEN.id(f"{SIDES[side]} brow"), 0.9)


def paint_nose(canvas: Canvas, face: PaintedFace) -> None:
    """The nose from between the eyes to its base: skin, told by relief, outline, nostrils and the shadow below it."""
    length = face.nose_base - face.nose_top
    patch = canvas.patch(0, (face.nose_top + face.nose_base) / 2, face.nose_width + 0.3, length / 2 + 0.18)
    down = (patch.y - face.nose_top) / length  # 0 at the top, 1 at the base
    aside = patch.x - nose_offset(face) * np.clip(down, 0, 1) ** 1.5
    half = face.nose_bridge + (face.nose_width - face.nose_bridge) * _bump(down - 0.84, 0.32)
    base = face.nose_base - 0.14 * length * np.square(aside / face.nose_width)
    rim = np.maximum(np.abs(aside) - half, patch.y - base)
    field = np.maximum(rim, face.nose_top - patch.y)
    rising = np.clip(down, 0, 1) ** 1.3 / (1 + np.exp(np.clip((patch.y - base + 0.02) / 0.022, -30, 30)))
    patch.emboss(face.nose_depth * rising * _bump(aside, 1.0) * _bump(aside / half, 0.85), face, 0.8)
    stronger = np.clip(4 * down, 0, 1) * np.clip(0.35 + down * down, 0, 1)
    patch.tint(times(face.skin, 0.38), face.nose_line * stronger * _bump(rim, 0.02))
    patch.shade(1 - 0.3 * _bump(patch.y - base - 0.035, 0.04) * _bump(aside / face.nose_width, 0.9))
    patch.tint((1.0, 0.97, 0.94), 0.22 * _bump(np.hypot(aside - 0.03 * face.light[0], patch.y - base + 0.11), 0.045))
    for side in SIDES:
        nostril = np.hypot((aside - side * 0.48 * face.nose_width) / 0.036, (patch.y - base + 0.028) / 0.018) - 1
        patch.cover(nostril, times(face.skin, 0.22), opacity=0.8)
    patch.labels[field < 0] = HELEN.id("nose")


def nose_offset(face: PaintedFace) -> float:
    """How far the tip stands off the face's axis on the surface: it sticks out, so turning moves it further."""
    return 0.16 * math.sin(face.yaw)


def paint_mouth(canvas: Canvas, face: PaintedFace) -> None:
    """Lips, and between them, where they part, the inner mouth with teeth or darkness."""
    patch = canvas.patch(0, face.mouth_height, face.mouth_width * 1.6, 0.38)
    y, along = patch.y, patch.x / face.mouth_width
    bend = np.clip(1 - np.square(along), -1, 1)
    line = face.mouth_height + face.smile * bend
    roof, floor = line - 0.4 * face.mouth_gap * bend, line + 0.6 * face.mouth_gap * bend
    bow = 1 - 0.28 * _bump(along, 0.16) + 0.12 * _bump(np.abs(along) - 0.32, 0.2)
    top, bottom = roof - face.lips[0] * bend * bow, floor + face.lips[1] * bend
    middle = (roof + floor) / 2
    patch.shade(1 - 0.22 * _bump(y - bottom - 0.04, 0.04) * _bump(along, 0.7))
    sheen = (1 + 0.05 * patch.fine)[..., None]
    lip = np.asarray(face.lip, np.float32)
    patch.cover(np.maximum(top - y, y - middle), lip * 0.86 * sheen, HELEN.id("upper lip"))
    swell = _bump((y - floor) / face.lips[1] - 0.45, 0.4) * _bump(along, 0.6)
    lower = lip * (0.92 + 0.22 * swell)[..., None] * sheen
    patch.cover(np.maximum(middle - y, y - bottom), lower, HELEN.id("lower lip"))
    seam = np.maximum(np.abs(y - middle) - np.float32(0.01), face.mouth_width * (np.abs(along) - np.float32(1.02)))
    patch.cover(seam, times(face.lip, 0.35), opacity=0.85)
    if face.mouth_gap:
        inner = np.maximum(roof - y, y - floor)
        patch.cover(inner, (0.16, 0.05, 0.06), HELEN.id("inner mouth"))
        tongue = np.hypot(along / 0.6, (y - floor - 0.01) / (0.45 * face.mouth_gap)) - np.float32(1)
        patch.cover(np.maximum(inner, tongue), (0.62, 0.25, 0.27), opacity=0.8)
        if face.teeth:
            edge = roof + face.teeth * face.mouth_gap * np.clip(bend, 0, 1)
            gaps = 1 - 0.2 * _bump(np.sin(along * 14), 0.15)
            patch.cover(np.maximum(inner, y - edge), np.asarray((0.93, 0.9, 0.84), np.float32) * gaps[..., None])


def hair_fields(canvas: Canvas, face: PaintedFace) -> tuple[Field, Field] | None:
    """The fields of the hair behind the face and of the hair in front of it; None for a bald head."""
    style, u, v = face.hairstyle, canvas.u, canvas.v
    if style is None:
        return None
    amplitude, waves, phase = style.curl
    half = canvas.half_width + style.beside
    angle = np.arctan2(u, -v - 0.1)
    curls = amplitude * (np.sin(waves * angle + phase) + 0.6 * np.sin(2.3 * waves * angle - phase))
    power = face.squareness  # as the skull's, or it would show through
    rounded = np.power(np.abs(u) / half, power) + np.power(np.maximum(-v, 0) / (1 + style.above), power)
    crown = (np.power(rounded, 1 / power) - 1) * half
    behind = np.maximum(crown, v - style.length - 0.1 * np.square(u) + 0.6 * curls) - curls
    across = u / canvas.half_width
    aside = np.minimum(np.abs(across - style.parting), 1.6)
    edge = style.line + (style.side - style.line) * np.power(aside, style.power)
    edge = edge + style.jag * (np.abs(np.sin(7 * across + phase)) + 0.4 * np.sin(17 * across)) + 0.5 * curls
    return behind, np.maximum(behind, 0.7 * (v - edge))


def paint_hair(canvas: Canvas, face: PaintedFace, field: Field, brightness: float) -> None:
    """Hair inside a field: strands that fan out from the parting, with a sheen across them."""
    parting = face.hairstyle.parting if face.hairstyle else 0.0
    u, v = canvas.u - 0.8 * parting * canvas.half_width, canvas.v + 1.5
    turn, far = np.arctan2(u, v), np.hypot(u, v)
    strands = 0.5 * np.sin(41 * turn + 3 * canvas.coarse) + 0.5 * np.sin(97 * turn + 2 * canvas.coarse)
    lit = 1 + 0.16 * strands + face.sheen * _bump(far - 0.75 - 0.04 * strands, 0.16)
    lit += 0.25 * (face.light[0] * canvas.u + face.light[1] * canvas.v)
    colour = np.asarray(face.hair, np.float32) * np.clip(brightness * lit, 0.2, 2)[..., None]
    canvas.cover(field, colour, HELEN.id("hair"))


def paint_glasses(canvas: Canvas, face: PaintedFace) -> None:
    """Frames and tinted lenses. Glasses are not a class: labels show what they cover, as in Helen."""
    if face.glasses is None:
        return
    radius, power, thickness = face.glasses_shape
    patch = canvas.patch(0, 0.02, face.width * 0.97, radius + 0.1)
    x, y = np.abs(patch.x), patch.y - np.float32(0.03)
    across, down = np.abs(x - face.eye_gap) / (1.15 * radius), np.abs(y) / radius
    rim = (np.power(np.power(across, power) + np.power(down, power) + 1e-6, 1 / power) - 1) * radius
    glare = 0.25 * (np.sin(9 * (patch.x + patch.y) + face.texture % 7) > 0.7)
    patch.cover(rim, np.clip(np.asarray(face.lens, np.float32) + glare[..., None], 0, 1), opacity=face.lens_opacity)
    bars = np.maximum(np.abs(y + 0.03) - thickness, -rim)  # the bridge and the temples
    frame = np.minimum(np.abs(rim) - thickness, bars)
    patch.cover(np.maximum(frame, x - 0.96 * face.width), face.glasses)


def paint_occluder(canvas: Canvas, face: PaintedFace) -> None:
    """A thing before the face, made of capsules. What it hides becomes background."""
    if not face.occluder:
        return
    field = np.minimum.reduce([_capsule(canvas.u, canvas.v, capsule) for capsule in face.occluder])
    rounded = 0.75 + 2.0 * np.clip(-field, 0, 0.16)
    stripes = 1 + face.occluder_stripes * np.sign(np.sin(40 * (canvas.u + 0.6 * canvas.v)))
    colour = np.asarray(face.occluder_colour, np.float32) * (rounded * stripes)[..., None]
    canvas.shade(1 - 0.3 * np.clip(1 - field / 0.06, 0, 1))
    canvas.cover(field, colour, BACKGROUND)


def _capsule(x: Field, y: Field, capsule: Capsule) -> Field:
    x0, y0, x1, y1, radius = capsule
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    field: Field = np.hypot(x - x0 - along * dx, y - y0 - along * dy) - np.float32(radius)
    return field


def _bump(value: Field, width: float) -> Field:
    bump: Field = np.exp(-np.square(value / width))
    return bump
