"""A looker for tests: sees blue squares as faces, whatever their size, at a cost of nothing; and photos of such."""

import numpy as np

from eagrctl.faces.detection.look import Found
from eagrctl.faces.detection.points import CANONICAL


class BlueLooker:
    """Sees each blob of pure blue as a face, if a red spot tells where its chin is and it is large enough.

    Args:
        smallest: side of the smallest blob that it sees, in pixels.
        steepest: degrees; a blob that is turned by more is not seen.
    """

    def __init__(self, smallest: float = 6.0, steepest: float = 180.0) -> None:
        self.smallest, self.steepest = smallest, steepest
        self.looks: list[tuple[int, ...]] = []  # shapes of what it was shown

    def see(self, images: np.ndarray, least: float) -> list[Found]:
        self.looks.append(images.shape)
        return [self._see(image.astype(int), least) for image in images]

    def _see(self, image: np.ndarray, least: float) -> Found:
        from skimage.measure import label, regionprops

        red, green, blue = np.moveaxis(image, 2, 0)
        body = (green < 100) & ((blue > 150) | (red > 150))
        boxes, points = [], []
        for region in regionprops(label(body)):
            top, left, bottom, right = region.bbox
            size = np.sqrt((bottom - top) * (right - left))
            chin = np.argwhere((red > blue)[top:bottom, left:right] & region.image)
            if size < self.smallest or not len(chin):
                continue
            middle = np.array([0.5 * (left + right - 1), 0.5 * (top + bottom - 1)])
            down = chin.mean(axis=0)[::-1] + np.array([left, top]) - middle
            turn = np.arctan2(-down[0], down[1])
            if abs(np.rad2deg(turn)) > self.steepest:
                continue
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            boxes.append([left - 0.5, top - 0.5, right - 0.5, bottom - 0.5])
            points.append(middle + size * CANONICAL @ rotation.T)
        count = len(boxes)
        return Found(np.array(boxes).reshape(-1, 4), np.full(count, 0.9), np.array(points).reshape(-1, 5, 2))


def blue_photo(height: int, width: int, faces: list[tuple[float, float, float, float]]) -> np.ndarray:
    """A grey photo with blue discs, each x, y, side and degrees of its turn, clockwise."""
    photo = np.full((height, width, 3), 200, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for x, y, side, degrees in faces:
        angle = np.deg2rad(degrees)
        across, down = columns - x, rows - y
        inside = np.hypot(across, down) <= side / 2
        along = -across * np.sin(angle) + down * np.cos(angle)
        beside = across * np.cos(angle) + down * np.sin(angle)
        photo[inside] = 0, 0, 255
        photo[inside & (along > 0.2 * side) & (abs(beside) < 0.2 * side)] = 255, 0, 0
    return photo
