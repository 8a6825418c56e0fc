import { z } from 'zod';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A threshold: a whole number from 1 on, at most `max`, because so many marks are kept for each key. */
export function count(value: number, about: string, max: number): z.ZodDefault<z.ZodNumber> {
  return z.number().int().min(1).max(max).default(value).describe(about);
}

export function ratio(value: number, about: string): z.ZodDefault<z.ZodNumber> {
  return z.number().min(0).max(1).default(value).describe(about);
}

export function factor(value: number, about: string): z.ZodDefault<z.ZodNumber> {
  return z.number().min(1).max(1000).default(value).describe(about);
}
