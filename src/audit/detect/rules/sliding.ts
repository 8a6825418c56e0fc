/** A sliding count of three numbers: the bucket before counts by what of it the window still covers. */
export function slide(before: number, now: number, time: number, windowMs: number): number {
  return now + before * (1 - (time % windowMs) / windowMs);
}
