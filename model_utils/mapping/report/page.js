"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const UNIT = "µg/m³";
const NONE = { 8: 255, 16: 65535 };
const MOST = 65534;
const NARROW = 480; // CSS pixels

// ---- Layers -------------------------------------------------------------------------------------------------------

const VIEWS = [
  { key: "pm25", name: "PM2.5", legend: "PM2.5", needs: ["pm25"], colours: "level", unit: UNIT },
  { key: "lower", name: "Lower bound", legend: "Lower bound of PM2.5", needs: ["pm25_lower"], colours: "level", unit: UNIT },
  { key: "upper", name: "Upper bound", legend: "Upper bound of PM2.5", needs: ["pm25_upper"], colours: "level", unit: UNIT },
  {
    key: "width", name: "Interval width", legend: `Width of the ${page.interval} interval`,
    needs: ["pm25_lower", "pm25_upper"], colours: "width", unit: UNIT,
  },
  { key: "aqi", name: "Sub-index", legend: "PM2.5 sub-index", needs: ["aqi"], classes: scaleClasses() },
  {
    key: "hotspot", name: "Hotspots", legend: "Local hotspots of PM2.5", needs: ["hotspot"],
    classes: [{ upTo: 0, name: "no hotspot", colour: "#9fb8cc" }, { upTo: 1, name: "hotspot", colour: "#d55e00" }],
  },
  { key: "effect", name: "Place effect", legend: "Effect of the place on PM2.5", needs: ["place_effect"], colours: "effect", unit: "%" },
  {
    key: "inside", name: "Applicability", legend: "Area of applicability", needs: ["inside_applicability"],
    classes: [
      { upTo: 0, name: "outside: the model knows no such ground", colour: "#e69f00" },
      { upTo: 1, name: "inside", colour: "#56b4e9" },
    ],
  },
].filter((view) => view.needs.every((name) => name in page.layers));

const layers = {};
let view = VIEWS[0];
let date = 0;
let cell = null; // {column, row}
let station = null;
const cells = page.rows * page.columns;

function scaleClasses() {
  return page.scale.map((category, rank) => ({
    ...category,
    range: category.upTo === null ? `above ${rank ? page.scale[rank - 1].upTo : 0}`
      : `${rank ? page.scale[rank - 1].upTo + 1 : 0} to ${category.upTo}`,
    pm25: (rank ? `above ${page.scale[rank - 1].pm25UpTo}` : "") + (rank && category.pm25UpTo !== null ? " " : "")
      + (category.pm25UpTo === null ? "" : `${rank ? "to" : "up to"} ${category.pm25UpTo}`) + ` ${UNIT}`,
  }));
}

async function unpack(packed) {
  const deflated = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (packed.bits === 8) return { ...packed, codes: bytes };
  const codes = new Uint16Array(bytes.length / 2); // its sums are modulo 2^16
  for (let i = 0, code = 0; i < codes.length; i++) {
    code += bytes[i] + 256 * bytes[codes.length + i];
    codes[i] = code;
  }
  return { ...packed, codes };
}

function codeOf(layer, index, when) {
  return layer.codes[layer.codes.length > cells ? when * cells + index : index];
}

/** The number of a layer in a cell, or null. */
function number(name, index, when = date) {
  const layer = layers[name];
  if (!layer) return null;
  const code = codeOf(layer, index, when);
  if (code === NONE[layer.bits]) return null;
  return (layer.offset + code) / Math.round(1 / layer.step);
}

/** What a view colours in a cell, or null. */
function shown(index, of = view, when = date) {
  if (of.key !== "width") return number(of.needs[0], index, when);
  const [lower, upper] = of.needs.map((name) => number(name, index, when));
  return lower === null || upper === null ? null : Math.round(10 * (upper - lower)) / 10;
}

function categoryOf(value, classes) {
  return classes.find((category) => category.upTo === null || value <= category.upTo) || classes[classes.length - 1];
}

function words(name, index, unit, signed = false) {
  const value = number(name, index);
  if (value === null) return "none";
  const digits = Math.round(-Math.log10(layers[name].step));
  const sign = signed && value > 0 ? "+" : "";
  const most = layers[name].bits === 16 && codeOf(layers[name], index, date) === MOST;
  return (sign + value.toFixed(digits)).replace("-", "−") + (unit ? ` ${unit}` : "") + (most ? " or more" : "");
}

// ---- Colours ------------------------------------------------------------------------------------------------------

const rgb = (hex) => [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));
const ramps = Object.fromEntries(Object.entries(page.colours).map(([name, list]) => [name, list.map(rgb)]));
const ranges = new Map();

/** The numbers that leave out a share at each end, or null. */
function middle(numbers, share) {
  if (!numbers.length) return null;
  numbers.sort((a, b) => a - b);
  const last = numbers.length - 1;
  return [numbers[Math.floor(share * last)], numbers[Math.ceil((1 - share) * last)]];
}

function readings(dates) {
  return [...dates].flatMap((when) => page.stations.map((one) => one.values[when]?.[0] ?? null)).filter((value) => value !== null);
}

/** Lowest and highest coloured number: the middle 96 % of what is compared, and the middle 80 % of what stations read. */
function range() {
  const narrow = at("stretch").checked;
  const key = narrow ? `${view.key} ${date}` : view.colours;
  if (ranges.has(key)) return ranges.get(key);
  const sorted = [];
  const dates = narrow ? [date] : [...page.dates.keys()];
  const views = narrow ? [view] : VIEWS.filter((other) => other.colours === view.colours);
  const stride = Math.max(1, Math.floor(cells * page.dates.length / 200000)); // enough for two quantiles
  for (const when of dates) {
    for (const other of views) {
      for (let index = 0; index < cells; index += stride) {
        const value = shown(index, other, when);
        if (value !== null) sorted.push(value);
      }
    }
  }
  let [low, high] = middle(sorted, 0.02) || [0, 1];
  const read = view.colours === "level" ? middle(readings(dates), 0.1) : null;
  if (read) [low, high] = sorted.length ? [Math.min(low, read[0]), Math.max(high, read[1])] : read;
  if (view.colours === "effect") { high = Math.max(Math.abs(low), Math.abs(high)); low = -high; } // white is no effect
  if (high - low < 0.1) { low -= 0.5; high += 0.5; }
  ranges.set(key, [low, high]);
  return [low, high];
}

function colourer() {
  if (view.classes) {
    const table = view.classes.map((category) => rgb(category.colour));
    return (value) => table[view.classes.indexOf(categoryOf(value, view.classes))];
  }
  const ramp = ramps[view.colours];
  const [low, high] = range();
  return (value) => ramp[Math.max(0, Math.min(ramp.length - 1, Math.floor((value - low) / (high - low) * ramp.length)))];
}

// ---- Drawing ------------------------------------------------------------------------------------------------------

const canvas = at("map");
const pen = canvas.getContext("2d");
const raster = document.createElement("canvas");
const gaps = document.createElement("canvas");
for (const sheet of [raster, gaps]) { sheet.width = page.columns; sheet.height = page.rows; }
const baseImage = page.image ? Object.assign(new Image(), { src: page.image.uri }) : null;
let size = { width: 0, height: 0, left: 0, top: 0, right: 0, bottom: 0 }; // of the canvas and of the frame in it
let camera = { zoom: 1, column: page.columns / 2, row: page.rows / 2 }; // what is in the middle of the frame

const scaleOf = () => camera.zoom * Math.min((size.right - size.left) / page.columns, (size.bottom - size.top) / page.rows);
const xOf = (column) => (size.left + size.right) / 2 + (column - camera.column) * scaleOf();
const yOf = (row) => (size.top + size.bottom) / 2 + (row - camera.row) * scaleOf();
const columnOf = (x) => camera.column + (x - (size.left + size.right) / 2) / scaleOf();
const rowOf = (y) => camera.row + (y - (size.top + size.bottom) / 2) / scaleOf();
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Colours the cells once for a view and a date; drawing then only scales the picture. */
function paint() {
  const colour = colourer();
  const filled = new ImageData(page.columns, page.rows);
  const empty = new ImageData(page.columns, page.rows);
  for (let index = 0; index < cells; index++) {
    const value = shown(index);
    if (value !== null) {
      const [red, green, blue] = colour(value);
      filled.data.set([red, green, blue, 255], 4 * index);
    } else if (number("reason", index) !== page.outsideArea) {
      empty.data[4 * index + 3] = 255;
    }
  }
  raster.getContext("2d").putImageData(filled, 0, 0);
  gaps.getContext("2d").putImageData(empty, 0, 0);
  legend();
  draw();
}

function fit() {
  const width = at("frame").clientWidth;
  const margin = { left: 58, right: 8, top: 6, bottom: 24 };
  const inner = (width - margin.left - margin.right) * page.rows / page.columns;
  const height = Math.round(Math.max(240, Math.min(inner + margin.top + margin.bottom, 0.74 * window.innerHeight)));
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.height = `${height}px`;
  size = { width, height, left: margin.left, top: margin.top, right: width - margin.right, bottom: height - margin.bottom };
  draw();
}

function draw() {
  if (!size.width) return;
  const density = canvas.width / size.width;
  const scale = scaleOf();
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  pen.font = "11.5px system-ui, 'DejaVu Sans', sans-serif";
  pen.save();
  pen.beginPath();
  pen.rect(size.left, size.top, size.right - size.left, size.bottom - size.top);
  pen.clip();
  pen.fillStyle = themed("--ground");
  pen.fillRect(size.left, size.top, size.right - size.left, size.bottom - size.top);
  if (baseImage && baseImage.naturalWidth) {
    pen.imageSmoothingEnabled = true;
    pen.drawImage(baseImage, xOf(page.image.left), yOf(page.image.top), page.image.width * scale, page.image.height * scale);
  }
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = baseImage ? at("opacity").value / 100 : 1;
  pen.drawImage(hatched(density), 0, 0, size.width, size.height);
  pen.drawImage(raster, xOf(0), yOf(0), page.columns * scale, page.rows * scale);
  pen.globalAlpha = 1;
  const labels = drawGraticule();
  if (page.box) {
    stroke(page.box, "#ffffffb0", 3.5);
    stroke(page.box, "#000000", 1.5, [6, 4]);
  }
  drawStations();
  drawCursor();
  drawScaleBar();
  pen.restore();
  pen.strokeStyle = themed("--line");
  pen.lineWidth = 1;
  pen.strokeRect(size.left + 0.5, size.top + 0.5, size.right - size.left - 1, size.bottom - size.top - 1);
  pen.fillStyle = themed("--quiet");
  for (const label of labels) {
    pen.textAlign = label.meridian ? "center" : "right";
    pen.textBaseline = label.meridian ? "top" : "middle";
    pen.fillText(label.text, label.x, label.y);
  }
  Object.assign(canvas.dataset, { left: xOf(0), top: yOf(0), scale });
}

/** Cells without a value: hatched, since each plain colour may mean a number. */
function hatched(density) {
  const sheet = document.createElement("canvas");
  sheet.width = canvas.width;
  sheet.height = canvas.height;
  const ink = sheet.getContext("2d");
  ink.setTransform(density, 0, 0, density, 0, 0);
  ink.imageSmoothingEnabled = false;
  ink.drawImage(gaps, xOf(0), yOf(0), page.columns * scaleOf(), page.rows * scaleOf());
  ink.globalCompositeOperation = "source-in";
  ink.strokeStyle = themed("--hatch");
  ink.lineWidth = 1;
  ink.beginPath();
  for (let x = -size.height; x < size.width; x += 6) {
    ink.moveTo(x, size.height);
    ink.lineTo(x + size.height, 0);
  }
  ink.stroke();
  return sheet;
}

function stroke(points, colour, width, dash = []) {
  pen.beginPath();
  points.forEach(([column, row], rank) => pen[rank ? "lineTo" : "moveTo"](xOf(column), yOf(row)));
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dash);
  pen.stroke();
  pen.setLineDash([]);
}

/** Draws meridians and parallels; gives the labels where they leave the frame. */
function drawGraticule() {
  const room = size.width < NARROW ? 72 : 96;
  const wide = page.graticules.filter((one) => one.gap * scaleOf() >= room);
  const chosen = wide[wide.length - 1] || page.graticules[0];
  const labels = [];
  for (const line of chosen ? chosen.lines : []) {
    stroke(line.points, themed("--grid"), 1);
    const points = line.points.map(([column, row]) => [xOf(column), yOf(row)]);
    for (let i = 1; i < points.length; i++) {
      const [from, to] = [points[i - 1], points[i]];
      const axis = line.meridian ? 1 : 0;
      const edge = line.meridian ? size.bottom : size.left;
      const part = (edge - from[axis]) / (to[axis] - from[axis]);
      if (!(part >= 0 && part <= 1)) continue;
      const along = from[1 - axis] + part * (to[1 - axis] - from[1 - axis]);
      const [low, high] = line.meridian ? [size.left + 20, size.right - 20] : [size.top + 6, size.bottom - 6];
      if (along < low || along > high) continue;
      labels.push({ text: line.label, meridian: line.meridian, x: line.meridian ? along : edge - 5, y: line.meridian ? edge + 6 : along });
      break;
    }
  }
  return labels;
}

function stationColour(one) {
  const values = one.values[date];
  return view.colours === "level" && values && values[0] !== null ? `rgb(${colourer()(values[0])})` : null;
}

function drawStations() {
  for (const one of page.stations) {
    const [x, y] = [xOf(one.column), yOf(one.row)];
    const radius = (one === station ? 8 : 5.5) * (size.width < NARROW ? 0.75 : 1);
    const colour = stationColour(one);
    for (const [line, width] of [["#ffffff", 4.5], ["#000000", 1.75]]) {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.strokeStyle = line;
      pen.lineWidth = width;
      pen.stroke();
    }
    pen.fillStyle = colour || "#ffffff90";
    pen.fill();
  }
}

function drawCursor() {
  if (!cell || station) return; // a chosen station is drawn larger instead
  const side = Math.max(scaleOf(), 7);
  const [x, y] = [xOf(cell.column + 0.5) - side / 2, yOf(cell.row + 0.5) - side / 2];
  for (const [colour, width] of [["#ffffff", 4], ["#000000", 1.75]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(x, y, side, side);
  }
}

function drawScaleBar() {
  const metre = scaleOf() / page.spacing;
  const longest = Math.min(160, (size.right - size.left) / 3) / metre;
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].find((factor) => factor * power <= longest) * power;
  const text = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  const [x, y, long] = [size.left + 12, size.bottom - 14, length * metre];
  pen.fillStyle = themed("--card") + "d9";
  pen.fillRect(x - 6, y - 20, long + 12, 28);
  pen.strokeStyle = pen.fillStyle = themed("--ink");
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, y - 4);
  pen.lineTo(x, y + 2);
  pen.lineTo(x + long, y + 2);
  pen.lineTo(x + long, y - 4);
  pen.stroke();
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  pen.fillText(text, x + long / 2, y - 4);
}

// ---- Words beside the map -----------------------------------------------------------------------------------------

/** An element with text and children; text never becomes markup. */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function swatch(colour, className = "") {
  const mark = make("span", `swatch ${className}`);
  if (colour) mark.style.background = colour;
  return mark;
}

function legend() {
  at("legend-title").textContent = view.legend + (view.unit ? `, ${view.unit}` : "");
  const parts = [];
  if (view.classes) {
    if (view.key === "aqi" && page.scaleName) parts.push(make("p", "quiet", `Scale: ${page.scaleName}, made for means of 24 hours`));
    parts.push(make("ul", "swatches", ...view.classes.map((one) =>
      make("li", "", swatch(one.colour), make("span", "", one.name),
        make("span", "range", one.range || "", ...(one.pm25 ? [make("small", "", one.pm25)] : []))))));
  } else {
    const [low, high] = range();
    const ramp = make("div", "ramp");
    ramp.style.background = `linear-gradient(to right, ${page.colours[view.colours].join(",")})`;
    parts.push(ramp, make("div", "ticks", ...ticks(low, high).map((value) => {
      const tick = make("span", "", String(value).replace("-", "−"));
      tick.style.left = `${100 * (value - low) / (high - low)}%`;
      return tick;
    })), make("p", "quiet beyond", "Numbers beyond an end have the colour of that end."));
  }
  const marks = make("ul", "swatches marks", make("li", "", swatch("", "none"), make("span", "", "no value: point at it for the reason")));
  if (page.stations.length) {
    const filled = view.colours === "level" ? "station, filled with its observed PM2.5" : "station";
    marks.prepend(make("li", "", swatch("", "round"), make("span", "", filled)));
  }
  at("legend").replaceChildren(...parts, marks);
  at("stretch-option").hidden = Boolean(view.classes);
}

function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let rank = Math.ceil(low / step); rank * step <= high; rank++) found.push(Number((rank * step).toFixed(2)));
  return found;
}

function degreesOf(column, row) {
  const nodes = page.degrees.latitude.length - 1;
  const [across, down] = [column / page.columns * nodes, row / page.rows * nodes];
  const [i, j] = [Math.min(nodes - 1, Math.floor(across)), Math.min(nodes - 1, Math.floor(down))];
  const [u, v] = [across - i, down - j];
  const between = (table) => (1 - v) * ((1 - u) * table[j][i] + u * table[j][i + 1]) + v * ((1 - u) * table[j + 1][i] + u * table[j + 1][i + 1]);
  const [latitude, longitude] = [between(page.degrees.latitude), between(page.degrees.longitude)];
  return `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;
}

function whyNone(index) {
  return page.reasons[number("reason", index)] || "the reason is not known";
}

function stationWords(one) {
  const [observed, predicted] = one.values[date] || [null, null];
  const text = (value) => (value === null ? "none" : `${value.toFixed(1)} ${UNIT}`);
  return { observed: text(observed), predicted: text(predicted) };
}

function describe() {
  if (!cell) return;
  const index = cell.row * page.columns + cell.column;
  const level = number("pm25", index);
  const rows = [];
  const add = (key, name, value) => {
    const text = make("dd", "", value);
    text.dataset.value = key;
    rows.push(make("div", "", make("dt", "", name), text));
    return text;
  };
  const main = make("p", level === null ? "" : "main");
  main.dataset.value = "pm25";
  if (level === null) main.append(make("strong", "", "No value: "), whyNone(index));
  else main.append(words("pm25", index), make("small", "", ` ${UNIT}`));
  if (level !== null) {
    if (layers.pm25_lower && layers.pm25_upper) {
      add("interval", `${page.interval} interval`, `${words("pm25_lower", index)} to ${words("pm25_upper", index)}`);
      const width = VIEWS.find((one) => one.key === "width");
      add("width", "Its width", `${shown(index, width).toFixed(1)} ${UNIT}`);
    }
    const aqi = number("aqi", index);
    if (aqi !== null) {
      const category = categoryOf(aqi, scaleClasses());
      add("aqi", "Sub-index", `${aqi} ${category.name}`).prepend(swatch(category.colour));
    }
    if (number("hotspot", index) !== null) add("hotspot", "Hotspot", number("hotspot", index) ? "yes" : "no");
  }
  if (number("place_effect", index) !== null) add("effect", "Place effect", words("place_effect", index, "%", true));
  if (number("dissimilarity", index) !== null) add("dissimilarity", "Dissimilarity", words("dissimilarity", index));
  const inside = number("inside_applicability", index);
  if (inside !== null) add("inside", "Applicability", inside ? "inside" : "outside");
  add("place", "Place", degreesOf(cell.column + 0.5, cell.row + 0.5));
  const parts = [main, make("dl", "", ...rows)];
  if (station) {
    const { observed, predicted } = stationWords(station);
    parts.push(make("p", "station", station.name), make("dl", "",
      make("div", "", make("dt", "", "Observed"), make("dd", "", observed)),
      make("div", "", make("dt", "", "Predicted"), make("dd", "", predicted))));
  }
  at("readout").replaceChildren(...parts);
  Object.assign(at("readout").dataset, { column: cell.column, row: cell.row, date });
}

/** Says to a screen reader what a sighted reader sees beside the map. */
function say(lead = "") {
  let text = lead;
  if (cell) {
    const index = cell.row * page.columns + cell.column;
    if (station) {
      const { observed, predicted } = stationWords(station);
      text += `${station.name}: observed ${observed}, predicted ${predicted}. `;
    }
    const value = shown(index);
    if (value === null) text += `No value: ${whyNone(index)}. `;
    else if (view.classes) text += `${view.key === "aqi" ? `${value}, ` : ""}${categoryOf(value, view.classes).name}. `;
    else text += `${value} ${view.unit}. `;
    if (view.key === "pm25" && value !== null && layers.pm25_lower && layers.pm25_upper) {
      text += `${page.interval} interval ${words("pm25_lower", index)} to ${words("pm25_upper", index)}. `;
    }
    text += degreesOf(cell.column + 0.5, cell.row + 0.5);
  }
  at("live").textContent = text;
}

function tip(x, y) {
  const index = cell.row * page.columns + cell.column;
  const value = shown(index);
  let text = value === null ? "no value" : view.classes ? categoryOf(value, view.classes).name : `${value.toFixed(1).replace("-", "−")} ${view.unit}`;
  if (view.key === "aqi" && value !== null) text = `${value} ${text}`;
  if (station) {
    const { observed, predicted } = stationWords(station);
    text = `${station.name}\nobserved ${observed}\npredicted ${predicted}`;
  }
  const box = at("tip");
  box.textContent = text;
  box.hidden = false;
  const left = x + 16 + box.offsetWidth > size.width ? x - 14 - box.offsetWidth : x + 16;
  const top = Math.min(Math.max(0, y + 14), size.height - box.offsetHeight);
  box.style.transform = `translate(${Math.max(0, left)}px, ${top}px)`;
}

function stationTable() {
  at("stations-day").textContent = page.dates[date];
  const head = ["Station", "Observed", "Predicted"].map((text) => Object.assign(make("th", "", text), { scope: "col" }));
  const body = page.stations.map((one) => {
    const text = (one.values[date] || [null, null]).map((value) => (value === null ? "–" : value.toFixed(1)));
    return make("tr", "", Object.assign(make("th", "", one.name), { scope: "row" }), ...text.map((value) => make("td", "", value)));
  });
  at("stations").replaceChildren(make("thead", "", make("tr", "", ...head)), make("tbody", "", ...body));
}

// ---- What the reader does -----------------------------------------------------------------------------------------

function show(key) {
  view = VIEWS.find((one) => one.key === key);
  const button = at(`layer-${key}`);
  button.checked = true;
  const row = at("layers"); // on a phone its buttons stand in one row
  row.scrollLeft = button.parentElement.offsetLeft - row.offsetLeft - (row.clientWidth - button.parentElement.offsetWidth) / 2;
  refresh();
}

function refresh() {
  canvas.setAttribute("aria-label", `Map: ${view.legend}, ${page.dates[date]}`);
  canvas.dataset.view = view.key;
  at("tip").hidden = true;
  paint();
}

function goTo(number) {
  date = Math.max(0, Math.min(page.dates.length - 1, number));
  at("date").value = date;
  at("date").setAttribute("aria-valuetext", page.dates[date]);
  at("day").textContent = page.dates[date];
  at("before").disabled = date === 0;
  at("after").disabled = date === page.dates.length - 1;
  stationTable();
  refresh();
  describe();
}

let playing = null;
function play(on = !playing) {
  clearInterval(playing);
  playing = on ? setInterval(() => goTo((date + 1) % page.dates.length), 900) : null;
  at("play").textContent = on ? "Pause" : "Play";
}

function place(column, row, one = null) {
  cell = { column: Math.max(0, Math.min(page.columns - 1, column)), row: Math.max(0, Math.min(page.rows - 1, row)) };
  station = one;
  describe();
  draw();
}

function look(zoom, column = camera.column, row = camera.row) {
  camera = { zoom: Math.max(1, Math.min(32, zoom)), column, row };
  const half = { columns: page.columns / 2 / camera.zoom, rows: page.rows / 2 / camera.zoom };
  camera.column = Math.max(half.columns, Math.min(page.columns - half.columns, camera.column));
  camera.row = Math.max(half.rows, Math.min(page.rows - half.rows, camera.row));
  canvas.classList.toggle("near", camera.zoom > 1);
  at("farther").disabled = at("whole").disabled = camera.zoom === 1;
  at("nearer").disabled = camera.zoom === 32;
  at("tip").hidden = true;
  draw();
}

/** Zooms so that the place under (x, y) stays there. */
function zoomAt(factor, x, y) {
  const [column, row] = [columnOf(x), rowOf(y)];
  const zoom = Math.max(1, Math.min(32, camera.zoom * factor));
  const left = camera.zoom / zoom;
  look(zoom, column - (column - camera.column) * left, row - (row - camera.row) * left);
}

const zoomFrom = () => (cell ? [xOf(cell.column + 0.5), yOf(cell.row + 0.5)] : [(size.left + size.right) / 2, (size.top + size.bottom) / 2]);

/** Brings the cell of the keyboard into the frame. */
function follow() {
  const [x, y] = [xOf(cell.column + 0.5), yOf(cell.row + 0.5)];
  if (x < size.left || x > size.right || y < size.top || y > size.bottom) look(camera.zoom, cell.column + 0.5, cell.row + 0.5);
}

const KEYS = {
  "[": () => { play(false); goTo(date - 1); say(`${page.dates[date]}. `); },
  "]": () => { play(false); goTo(date + 1); say(`${page.dates[date]}. `); },
  l: () => { show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length].key); say(`${view.legend}. `); },
  n: () => {
    if (!page.stations.length) return;
    const next = page.stations[(page.stations.indexOf(station) + 1) % page.stations.length];
    place(Math.floor(next.column), Math.floor(next.row), next);
    follow();
    say();
  },
  p: () => { if (page.dates.length > 1) play(); },
  "+": () => zoomAt(2, ...zoomFrom()),
  "=": () => zoomAt(2, ...zoomFrom()),
  "-": () => zoomAt(0.5, ...zoomFrom()),
  0: () => look(1),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

at("viewer").addEventListener("keydown", (event) => {
  const composed = event.altKey || event.getModifierState("AltGraph"); // so some keyboards type [ and ]
  if (event.metaKey || (event.ctrlKey && !composed)) return;
  if (event.target === canvas && MOVES[event.key]) {
    event.preventDefault();
    const [across, down] = MOVES[event.key].map((step) => step * (event.shiftKey ? 10 : 1));
    const from = cell || { column: Math.floor(page.columns / 2), row: Math.floor(page.rows / 2) };
    at("tip").hidden = true;
    place(from.column + (cell ? across : 0), from.row + (cell ? down : 0));
    follow();
    say();
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

const pointers = new Map();
let moved = false;

function spot(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function pointAt({ x, y }, reach) {
  const inFrame = x >= size.left && x <= size.right && y >= size.top && y <= size.bottom;
  const [column, row] = [Math.floor(columnOf(x)), Math.floor(rowOf(y))];
  if (!inFrame || column < 0 || row < 0 || column >= page.columns || row >= page.rows) {
    at("tip").hidden = true;
    return;
  }
  const near = page.stations.map((one) => ({ one, far: Math.hypot(xOf(one.column) - x, yOf(one.row) - y) }))
    .filter(({ far }) => far <= reach).sort((a, b) => a.far - b.far)[0];
  place(column, row, near ? near.one : null);
  tip(x, y);
}

canvas.addEventListener("pointerdown", (event) => {
  pointers.set(event.pointerId, spot(event));
  moved = false;
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  const now = spot(event);
  const before = pointers.get(event.pointerId);
  const reach = event.pointerType === "mouse" ? 9 : 18;
  if (!before) { pointAt(now, reach); return; }
  const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId);
  if (others.length) {
    const [, other] = others[0];
    const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    zoomAt(apart(now, other) / apart(before, other), (now.x + other.x) / 2, (now.y + other.y) / 2);
    moved = true;
  } else if (moved || Math.hypot(now.x - before.x, now.y - before.y) > 4) {
    moved = true;
    canvas.classList.add("moving");
    look(camera.zoom, camera.column - (now.x - before.x) / scaleOf(), camera.row - (now.y - before.y) / scaleOf());
    if (camera.zoom === 1) pointAt(now, reach);
  } else return;
  pointers.set(event.pointerId, now);
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    if (name === "pointerup" && !moved) pointAt(spot(event), event.pointerType === "mouse" ? 9 : 18);
    pointers.delete(event.pointerId);
    canvas.classList.remove("moving");
  });
}
canvas.addEventListener("pointerleave", () => { at("tip").hidden = true; });
canvas.addEventListener("dblclick", (event) => { const { x, y } = spot(event); zoomAt(2, x, y); });
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return; // the plain wheel scrolls the page; pinching a touchpad comes with ctrlKey
  event.preventDefault();
  const { x, y } = spot(event);
  zoomAt(Math.exp(-event.deltaY / 100), x, y);
}, { passive: false });

at("nearer").addEventListener("click", () => zoomAt(2, (size.left + size.right) / 2, (size.top + size.bottom) / 2));
at("farther").addEventListener("click", () => zoomAt(0.5, (size.left + size.right) / 2, (size.top + size.bottom) / 2));
at("whole").addEventListener("click", () => look(1));
at("before").addEventListener("click", () => { play(false); goTo(date - 1); say(`${page.dates[date]}. `); });
at("after").addEventListener("click", () => { play(false); goTo(date + 1); say(`${page.dates[date]}. `); });
at("play").addEventListener("click", () => play());
at("date").addEventListener("input", (event) => { play(false); goTo(Number(event.target.value)); });
at("stretch").addEventListener("change", paint);
at("opacity").addEventListener("input", draw);
window.addEventListener("resize", fit);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

async function start() {
  for (const [name, packed] of Object.entries(page.layers)) layers[name] = await unpack(packed);
  for (const one of VIEWS) {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "layer", id: `layer-${one.key}` });
    input.addEventListener("change", () => { show(one.key); say(`${one.legend}. `); });
    at("layers").append(make("label", "", input, make("span", "", one.name)));
  }
  const several = page.dates.length > 1;
  for (const id of ["play", "before", "after", "date"]) at(id).hidden = !several;
  at("date").max = page.dates.length - 1;
  at("stretch").checked = !several;
  at("opacity-option").hidden = !page.image;
  at("stations-card").hidden = !page.stations.length;
  goTo(0);
  show(view.key);
  look(1);
  if (baseImage) await baseImage.decode().catch(() => {}); // without it the map is as right
  fit();
  new ResizeObserver(fit).observe(at("frame"));
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  at("alarm").textContent = typeof DecompressionStream === "undefined"
    ? "This browser is too old for this page: it cannot unpack the layers. Any browser of 2023 or later can."
    : `The map cannot be shown: ${error.message}`;
  at("alarm").hidden = false;
});
