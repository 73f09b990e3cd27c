// Format numbers and times for display.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });

export const time = (ms) => clock.format(ms);
export const shortTime = (ms) => minute.format(ms);

export function figure(value, digits) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const places = digits ?? (size === 0 || size >= 1000 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4);
  const whole = digits === undefined ? 0 : Number.isInteger(value) ? 0 : digits;
  return value.toLocaleString("en-US", { maximumFractionDigits: places, minimumFractionDigits: whole });
}

export function duration(ms) {
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 2 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

export function windowLength(seconds) {
  return seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;
}

// Remove the prefix of "Purple Flea agent: high drawdown", because every name on this page has it.
export function short(name) {
  const [, suffix] = name.match(/^Purple Flea agents?: (.*)$/) ?? [null, name];
  return suffix.charAt(0).toUpperCase() + suffix.slice(1);
}
