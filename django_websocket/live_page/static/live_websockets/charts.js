"use strict";

/** The charts of the last minutes, drawn by uPlot in the admin's colours. */
window.LiveCharts = (() => {
  const KEPT = 300;
  const HEIGHT = 110;
  const formats = window.LiveFormats;

  /** name of a chart: its lines, each a colour of the admin's, and what of a page they show */
  const CHARTS = {
    sockets: { lines: [["--link-fg", (page) => page.sockets]], format: formats.number },
    rate: {
      lines: [["--link-fg", (page) => page.received_rate], ["--body-fg", (page) => page.sent_rate, [4, 4]]],
      format: formats.rate,
    },
    lag: { lines: [["--error-fg", (page) => page.lag]], format: formats.milliseconds },
  };

  class Chart {
    constructor(element, { lines, format }) {
      this.element = element;
      this.lines = lines;
      this.format = format;
      this.data = [[], ...lines.map(() => [])];
      this.plot = null;
      new ResizeObserver(() => this.resize()).observe(element);
    }

    add(time, page) {
      this.data[0].push(time);
      this.lines.forEach(([, read], index) => this.data[index + 1].push(read(page)));
      if (this.data[0].length > KEPT) this.data.forEach((values) => values.shift());
      if (this.plot) this.plot.setData(this.data);
      else this.draw();
    }

    resize() {
      const width = this.element.clientWidth;
      if (this.plot && width) this.plot.setSize({ width, height: HEIGHT });
      else this.draw();
    }

    /** Draw it anew: at first, and in other colours. */
    draw() {
      const width = this.element.clientWidth;
      if (!width || !this.data[0].length) return;
      if (this.plot) this.plot.destroy();
      const style = getComputedStyle(this.element);
      const colour = (name) => style.getPropertyValue(name).trim();
      const axis = {
        stroke: colour("--body-quiet-color"),
        font: `11px ${style.fontFamily}`,
        grid: { stroke: colour("--hairline-color"), width: 1 },
        ticks: { show: false },
      };
      this.plot = new uPlot(
        {
          width,
          height: HEIGHT,
          cursor: { show: false },
          legend: { show: false },
          scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
          axes: [
            { ...axis, size: 24, space: 80, values: [[1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
            { ...axis, size: 62, space: 28, values: (_, splits) => splits.map(this.format) },
          ],
          series: [
            {},
            ...this.lines.map(([name, , dash]) => ({
              stroke: colour(name), width: 1.5, dash, points: { show: false }, spanGaps: false,
            })),
          ],
        },
        this.data,
        this.element,
      );
    }
  }

  class Charts {
    constructor(root) {
      this.charts = Object.entries(CHARTS).map(
        ([name, chart]) => new Chart(root.querySelector(`[data-chart=${name}]`), chart),
      );
      const redraw = () => this.charts.forEach((chart) => chart.draw());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
      new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    }

    add(page) {
      const now = Date.now() / 1000;
      this.charts.forEach((chart) => chart.add(now, page));
    }
  }

  return Charts;
})();
