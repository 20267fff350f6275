"use strict";
// Asks the server once a second and shows what it says. Text from peers only ever becomes textContent.
(() => {
  const SPAN = 300; // seconds that a chart shows
  const ROWS = 200; // sessions that the table shows
  const byId = (id) => document.getElementById(id);
  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.textContent = text;
    return made;
  };
  const setText = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  // Numbers and units.
  const count = (n) => n.toLocaleString("en-US", { maximumFractionDigits: 0 });
  const rate = (n) => n.toLocaleString("en-US", { maximumFractionDigits: n < 10 ? 1 : 0 });
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const bytes = (n, decimals = 0) => {
    let unit = 0;
    while (n >= 1024 && unit < UNITS.length - 1) {
      n /= 1024;
      unit += 1;
    }
    const most = unit > 0 && n < 100 ? 1 : 0;
    const least = Math.min(most, decimals);
    return `${n.toLocaleString("en-US", { minimumFractionDigits: least, maximumFractionDigits: most })} ${UNITS[unit]}`;
  };
  const time = (seconds) => {
    const two = (n) => String(n).padStart(2, "0");
    const s = Math.floor(seconds);
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} m ${two(s % 60)} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} m`;
    return `${Math.floor(s / 86400)} d ${two(Math.floor((s % 86400) / 3600))} h`;
  };

  // The top of a scale: half of it is a round number too.
  const roundUp = (n) => {
    if (n <= 1) return 1;
    const power = 10 ** Math.floor(Math.log10(n));
    return power * [1, 2, 4, 6, 8, 10].find((step) => step * power >= n);
  };
  const roundUpBytes = (n) => {
    if (n <= 1) return 1;
    const power = 1024 ** Math.floor(Math.log2(n) / 10);
    return power * (n / power > 512 ? 1024 : 2 ** Math.ceil(Math.log2(n / power)));
  };

  // Charts. A line is a function of a sample and the one before it.
  const SHORTEST = 0.5; // seconds between two samples that make a rate: over less time one event is a peak
  const perSecond = (name) => (now, before) => {
    const seconds = before ? now.time_s - before.time_s : 0;
    return seconds < SHORTEST ? undefined : (now[name] - before[name]) / seconds;
  };
  const CHARTS = [
    { title: "Live sessions", lines: [(now) => now.live], show: count, top: roundUp, note: (now, about) => `of ${count(about.workers)} workers` },
    { title: "Waiting for a worker", lines: [(now) => now.waiting], show: count, top: roundUp },
    { title: "Refused", lines: [perSecond("refused")], show: rate, unit: "/s", top: roundUp, note: (now) => `${count(now.refused)} in all` },
    { title: "Messages", lines: [perSecond("messages")], show: rate, unit: "/s", top: roundUp, note: (now) => `${count(now.messages)} in all`, wide: true },
    { title: "Bytes", lines: [perSecond("bytes_in"), perSecond("bytes_out")], names: ["received", "sent"], show: bytes, unit: "/s", top: roundUpBytes, wide: true },
  ];

  const SVG = "http://www.w3.org/2000/svg";
  const draw = (parent, name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  for (const chart of CHARTS) {
    const figure = element("figure", chart.wide ? "chart wide" : "chart");
    const caption = element("figcaption");
    chart.ago = element("span");
    caption.append(element("span", "", chart.title), chart.ago);
    chart.value = element("p", "value");
    chart.svg = document.createElementNS(SVG, "svg");
    chart.svg.setAttribute("role", "img");
    figure.append(caption, chart.value, chart.svg);
    byId("charts").append(figure);
    chart.svg.addEventListener("pointermove", (event) => {
      chart.pointer = event.clientX - chart.svg.getBoundingClientRect().left;
      render(chart);
    });
    chart.svg.addEventListener("pointerleave", () => {
      chart.pointer = undefined;
      render(chart);
    });
    // One line of numbers for each line of the chart.
    chart.numbers = chart.lines.map((_, i) => {
      const number = element("span");
      const text = element("span");
      const unit = element("small", chart.names ? `key ${["first", "second"][i]}` : "");
      number.append(text, " ", unit);
      chart.value.append(number);
      return { text, unit };
    });
  }

  let about; // the last answer of /history
  let samples = [];

  const render = (chart) => {
    if (samples.length === 0) return;
    const end = samples[samples.length - 1].time_s;
    const lines = chart.lines.map((line) =>
      samples
        .map((sample, i) => ({ time: sample.time_s, value: line(sample, samples[i - 1]) }))
        .filter((point) => point.value !== undefined && end - point.time <= SPAN));
    const width = chart.svg.clientWidth;
    const height = chart.svg.clientHeight;
    const left = 68;
    const bottom = height - 18;
    const top = chart.top(Math.max(...lines.flat().map((point) => point.value), 0));
    const x = (time) => left + (1 - (end - time) / SPAN) * (width - left - 1);
    const y = (value) => bottom - (value / top) * (bottom - 8);
    chart.svg.replaceChildren();
    const ticks = top === 1 ? [0, 1] : [0, top / 2, top];
    for (const tick of ticks) {
      const at = Math.round(y(tick));
      draw(chart.svg, "line", { class: "grid", x1: left, x2: width, y1: at, y2: at });
      const unit = tick === top && chart.unit ? chart.unit : "";
      draw(chart.svg, "text", { class: "y", x: left - 8, y: at + 4 }, chart.show(tick) + unit);
    }
    draw(chart.svg, "text", { x: left, y: height - 3 }, "5 min ago");
    draw(chart.svg, "text", { class: "y", x: width, y: height - 3 }, "now");
    lines.forEach((points, i) => {
      if (points.length === 0) return;
      const path = points.map((point) => `${x(point.time).toFixed(1)} ${y(point.value).toFixed(1)}`).join("L");
      if (i === 0) {
        const [first, last] = [points[0], points[points.length - 1]].map((point) => x(point.time).toFixed(1));
        draw(chart.svg, "path", { class: "area", d: `M${first} ${bottom}L${path}L${last} ${bottom}Z` });
      }
      draw(chart.svg, "path", { class: i === 0 ? "line" : "line second", d: `M${path}` });
    });
    // The numbers are those under the pointer, or else the last ones.
    let index = lines[0].length - 1;
    const pointer = chart.pointer;
    if (pointer !== undefined && index >= 0) {
      const distance = (i) => Math.abs(x(lines[0][i].time) - pointer);
      for (let i = 0; i < lines[0].length; i += 1) if (distance(i) < distance(index)) index = i;
      const at = Math.round(x(lines[0][index].time));
      draw(chart.svg, "line", { class: "at", x1: at, x2: at, y1: 4, y2: bottom });
    }
    const ago = index < 0 || pointer === undefined ? 0 : Math.round(end - lines[0][index].time);
    setText(chart.ago, ago > 0 ? `${time(ago)} ago` : "");
    const note = chart.note ? chart.note(samples[samples.length - 1], about) : "";
    chart.numbers.forEach((number, i) => {
      const point = lines[i][index];
      setText(number.text, point ? chart.show(point.value) + (chart.unit || "") : "–");
      setText(number.unit, chart.names ? chart.names[i] : note);
    });
    const most = (points) => chart.show(Math.max(...points.map((point) => point.value), 0));
    chart.svg.setAttribute("aria-label", `${chart.title}: at most ${lines.map(most).join(" and ")}${chart.unit || ""} in the last five minutes`);
  };

  // The table. A column has a name, the key of a session, and how its value is shown.
  const COLUMNS = [
    { name: "Client", key: "client", show: String, kind: "number minor" },
    { name: "Peer", key: "peer", show: String, kind: "address" },
    { name: "Proxy", key: "proxied_by", show: (value) => value ?? "–", kind: "address minor", dull: (values) => values.every((value) => value === null) },
    { name: "Listener", key: "listener", show: String, kind: "address minor", dull: (values) => new Set(values).size < 2 },
    { name: "Age", key: "age_s", show: time, kind: "number" },
    { name: "Silence", key: "silence_s", show: time, kind: "number" },
    { name: "Messages", key: "messages", show: count, kind: "number" },
    { name: "Received", key: "bytes_in", show: (n) => bytes(n, 1), kind: "number" },
    { name: "Sent", key: "bytes_out", show: (n) => bytes(n, 1), kind: "number" },
  ];
  let sessions = [];
  let sortBy = COLUMNS[0];
  let descending = false;
  for (const column of COLUMNS) {
    column.head = element("th", column.kind);
    column.head.scope = "col";
    const button = element("button", "", column.name);
    button.type = "button";
    button.addEventListener("click", () => {
      // Numbers are most interesting where they are large.
      descending = sortBy === column ? !descending : column.kind.startsWith("number") && column.key !== "client";
      sortBy = column;
      renderTable();
    });
    column.head.append(button);
    byId("columns").append(column.head);
  }

  const rows = new Map(); // by client
  const makeRow = () => {
    const row = element("tr");
    for (const column of COLUMNS) row.append(element("td", column.kind));
    return row;
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => (typeof a === "number" ? a - b : collator.compare(a ?? "", b ?? ""));
  const renderTable = () => {
    for (const column of COLUMNS) {
      if (column === sortBy) column.head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else column.head.removeAttribute("aria-sort");
      // A column that says the same everywhere is left out.
      column.head.hidden = Boolean(column.dull?.(sessions.map((session) => session[column.key])));
    }
    const sign = descending ? -1 : 1;
    sessions.sort((a, b) => sign * compare(a[sortBy.key], b[sortBy.key]) || a.client - b.client);
    const shown = sessions.slice(0, ROWS);
    const clients = new Set(shown.map((session) => session.client));
    for (const [client, row] of rows) {
      if (clients.has(client)) continue;
      row.remove();
      rows.delete(client);
    }
    // Rows stay where they are if they can, so that text can be selected.
    shown.forEach((session, i) => {
      const row = rows.get(session.client) ?? makeRow();
      rows.set(session.client, row);
      COLUMNS.forEach((column, j) => {
        setText(row.children[j], column.show(session[column.key]));
        row.children[j].hidden = column.head.hidden;
      });
      const there = byId("rows").children[i];
      if (there !== row) byId("rows").insertBefore(row, there ?? null);
    });
    setText(byId("sessions-note"), sessions.length > ROWS ? `${count(ROWS)} of ${count(sessions.length)}` : count(sessions.length));
    byId("empty").hidden = sessions.length > 0;
  };

  const show = (state, name) => {
    byId("state").className = `state ${state}`;
    setText(byId("state"), name);
    document.body.className = state;
  };
  const ask = async (path) => {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };
  const refreshHistory = async () => {
    try {
      about = await ask("/history");
      samples = about.samples.map((sample) => Object.fromEntries(about.fields.map((field, i) => [field, sample[i]])));
      show(about.ready ? "serving" : "stopping", about.ready ? "serving" : "stopping");
      setText(byId("version"), about.version);
      const last = samples[samples.length - 1];
      if (last) setText(byId("about"), `for ${time(last.time_s)}, ${count(last.accepted)} connections so far`);
      CHARTS.forEach(render);
    } catch {
      show("lost", "no answer");
    }
  };
  const refreshSessions = async () => {
    try {
      sessions = await ask("/sessions");
      renderTable();
    } catch {
      // The state says so.
    }
  };
  // Thousands of sessions take a while: the page takes at most a tenth of the time.
  const again = async (refresh) => {
    const begun = performance.now();
    if (!document.hidden) await refresh();
    setTimeout(again, Math.max(1000, 10 * (performance.now() - begun)), refresh);
  };
  addEventListener("resize", () => CHARTS.forEach(render));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) CHARTS.forEach(render);
  });
  again(refreshHistory);
  again(refreshSessions);
})();
