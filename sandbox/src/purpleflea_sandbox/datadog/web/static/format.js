// Numbers and times as people read them.

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

export function stretch(seconds) {
  return seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;
}

// "Purple Flea agent: high drawdown" says everywhere on this page the first half for nothing.
export function short(name) {
  const [, rest] = name.match(/^Purple Flea agents?: (.*)$/) ?? [null, name];
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
