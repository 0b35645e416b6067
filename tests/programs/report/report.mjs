// report.mjs -- does programs/compare/page.html show what it was given?
//
// Fills the page with sample.json, opens it from the disk in Debian's chromium
// and looks: a mark for each measured point, nothing from invalid results, and
// everything that a reader may press. Writes build/report/report.html and the
// screenshots beside it. Prints a line for each check and exits 1 when one
// failed. What must be there is computed here, from the sample, again.
//
//   node tests/programs/report/report.mjs            the checks
//   node tests/programs/report/report.mjs --broken   each check against a page that is
//                                           broken for it: it must fail
//   node tests/programs/report/report.mjs --page X   a page that compare.exe has made,
//                                           against the data that is in it
//
// Before: mkdir -p build/report
//         cp tests/programs/report/package*.json build/report
//         npm ci --prefix build/report --ignore-scripts

import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
const BUILD = new URL('build/report/', ROOT);
const { chromium } = createRequire(new URL('x.js', BUILD))('playwright-core');

const TEMPLATE = readFileSync(new URL('programs/compare/page.html', ROOT), 'utf8');
const SAMPLE = readFileSync(new URL('sample.json', import.meta.url), 'utf8');
const MODELS = ['select', 'asyncselect', 'eventselect', 'overlapped_event',
    'overlapped_routine', 'iocp'];

/* ---- Pages ---- */

// As compare.exe does it. A function as replacement: "$&" in the data is text.
function fill(template, json) {
    return template.replace(/(<script id="data"[^>]*>)[^]*?(?=<\/script>)/,
        (_, head) => head + json.replaceAll('<', '\\u003c'));
}

class Page {
    constructor(browser, name, content) {
        Object.assign(this, { browser, address: new URL(name, BUILD),
            troubles: [], requests: [] });
        writeFileSync(this.address, content);
    }

    // Each visit is a new reader: nothing is remembered from the last one.
    async visit(options, look) {
        const context = await this.browser.newContext({
            viewport: { width: 1280, height: 720 }, ...options });
        try {
            const page = await context.newPage();
            page.on('console', (told) => this.troubles.push(told.text()));
            page.on('pageerror', (error) => this.troubles.push(error.message));
            page.on('dialog', (dialog) => {
                this.troubles.push('dialog ' + dialog.message());
                dialog.dismiss();
            });
            page.on('request', (request) => this.requests.push(request.url()));
            await page.goto(this.address.href);
            return await look(page);
        } finally {
            await context.close();
        }
    }
}

/* ---- What must be there ---- */

const sum = (values) => values.reduce((a, b) => a + b, 0);
const valid = (scenario) => scenario.results.filter((one) => one.valid);

function points_in(scenarios, metric) {
    return sum(scenarios.flatMap(valid).map((one) => one.rounds.filter(
        (round) => Number.isFinite(round[metric])).length));
}
function expected_marks(data) {
    const kind = (name) => data.scenarios.filter((one) => one.kind === name);
    const echo = kind('echo');
    const curves = echo.find(({ clients }) => clients === 64);
    return {
        calls: sum(data.servers.map(({ calls }) => calls.length)),
        throughput: points_in(echo, 'echoes_per_s'),
        p99: points_in(echo, 'p99_us'),
        cpu: points_in(echo, 'cpu_us_per_echo'),
        memory: data.servers.filter((one) =>
            Number.isFinite(one.bytes_per_client)).length,
        start: sum(data.servers.map(({ start_ms }) => start_ms.length)),
        size: points_in(kind('size'), 'mib_per_s'),
        bulk: points_in(kind('bulk'), 'mib_per_s'),
        churn: points_in(kind('churn'), 'connects_per_s'),
        idle: points_in(kind('idle'), 'echoes_per_s'),
        floods: points_in(kind('floods'), 'p99_us'),
        percentiles: sum(valid(curves).map((one) => one.percentiles.length)),
    };
}

/* ---- Checks: each throws what is wrong ---- */

function same(told, wanted, what) {
    const [a, b] = [JSON.stringify(told), JSON.stringify(wanted)];
    if (a !== b) {
        throw new Error(`${what}: ${a}, wanted ${b}`);
    }
}
function sure(condition, what) {
    if (!condition) {
        throw new Error(what);
    }
}
const marks_of = (page) => page.$$eval('.mark[data-figure]', (all) =>
    all.map((node) => ({ ...node.dataset })));
const no_overflow = async (page) => same(await page.evaluate(() =>
    document.documentElement.scrollWidth - innerWidth), 0,
'pixels beside the screen');
const paper = (page) => page.evaluate(() =>
    getComputedStyle(document.body).backgroundColor);
const is_dark = async (page) =>
    sum((await paper(page)).match(/\d+/g).map(Number)) < 3 * 128;

async function check_marks(page, { data }) {
    const count = {};
    for (const { figure } of await marks_of(page)) {
        count[figure] = (count[figure] ?? 0) + 1;
    }
    for (const [figure, wanted] of Object.entries(expected_marks(data))) {
        same(count[figure] ?? 0, wanted, `marks in ${figure}`);
        delete count[figure];
    }
    same(count, {}, 'figures that nobody expects');
}

// The value of each mark, and a mark higher up for a higher value.
async function check_values(page, { data }) {
    const told = (await marks_of(page)).filter((one) =>
        one.figure === 'throughput').map((one) =>
        [one.server, +one.x, +one.round, +one.y].join()).sort();
    const wanted = data.scenarios.filter((one) => one.kind === 'echo').flatMap(
        (scenario) => valid(scenario).flatMap((one) => one.rounds.map(
            (round, i) => [one.server, scenario.clients, i + 1,
                round.echoes_per_s].join()))).sort();
    same(told, wanted, 'throughput');
    const places = await page.$$eval('[data-figure=throughput].mark', (all) =>
        all.map((one) => [one.dataset.server, +one.dataset.y, one.getBBox().y])
            .sort(([, a], [, b]) => a - b));
    for (const { name } of data.servers) {
        places.filter(([server]) => server === name).reduce(
            (above, [, value, at]) => {
                sure(at <= above + .1, `${name}: ${value} is drawn too low`);
                return at;
            }, Infinity);
    }
}

// All panels of a figure begin at zero and end at the same figure.
async function check_one_scale(page) {
    for (const figure of ['throughput', 'cpu', 'size']) {
        const scales = await page.$$eval(`#plot-${figure} svg.panel`, (all) =>
            all.map((one) => [...one.querySelectorAll('text')].filter((label) =>
                label.getAttribute('text-anchor') === 'end').map((label) =>
                label.textContent + '@' + label.getAttribute('y')).join()));
        same(new Set(scales).size, 1, `scales in ${figure}`);
        sure(/^0\D/.test(scales[0]), `${figure} begins at ${scales[0]}`);
        const [zero, floor] = await page.$eval(`#plot-${figure} svg.panel`,
            (one) => [one.querySelector('.rule').getAttribute('y1'),
                [...one.querySelectorAll('.rule')].at(-1).getAttribute('y1')]);
        same(zero, floor, `${figure}: where zero is, and where the floor is`);
    }
}

async function check_medians(page, { data }) {
    const lines = await page.$$eval('#plot-throughput .median', (all) =>
        all.map((one) => one.dataset.line));
    same(lines, data.servers.map(({ name }) => name), 'median lines');
}

async function check_invalid(page, { data }) {
    const list = await page.textContent('#invalid-list').catch(() => '');
    const marks = await marks_of(page);
    for (const scenario of data.scenarios) {
        for (const one of scenario.results.filter((all) => !all.valid)) {
            sure(list.includes(one.server) && list.includes(one.why),
                `not listed: ${one.server}, ${one.why}`);
            const shown = marks.filter((mark) => mark.server === one.server &&
                mark.x === String(scenario.clients) &&
                ['throughput', 'p99', 'cpu'].includes(mark.figure));
            same(shown, [], 'charted though invalid');
            sure((await page.textContent('#figure-throughput .note'))
                .includes(one.server), 'the figure hides who is missing');
        }
    }
}

// One colour and one shape for a server, and another for each of them.
async function check_looks(page, { data }) {
    const looks = await page.$$eval('path.mark[data-server]', (all) =>
        all.map((one) => {
            const { x, y, width, height } = one.getBBox();
            const { fill, stroke } = getComputedStyle(one);
            return { server: one.dataset.server, colour: fill + stroke,
                corners: one.getAttribute('d').match(/-?[\d.]+/g).map(
                    (n, i) => i % 2 ? (n - y) / height : (n - x) / width) };
        }));
    // Coordinates have two decimals, so small shapes are a bit rough.
    const alike = (a, b) => a.length === b.length &&
        a.every((n, i) => Math.abs(n - b[i]) < .05);
    const first = data.servers.map(({ name }) =>
        looks.find(({ server }) => server === name));
    for (const { server, colour, corners } of looks) {
        for (const other of first) {
            const own = server === other.server;
            same(colour === other.colour, own,
                `${server} and ${other.server} have one colour`);
            sure(alike(corners, other.corners) === own || other.colour ===
                first[0].colour || server === first[0].server,
            `${server} and ${other.server}: shapes`);
        }
    }
}

// The median, and how it compares with the median of the baseline.
async function check_headline(page, { data }) {
    const rows = await page.$$eval('#glance tbody tr', (all) =>
        all.map((row) => row.textContent));
    same(rows.length, data.servers.length, 'rows');
    const middle = data.scenarios.find(({ id }) => id === 'echo-64');
    const of = (name) => middle.results.find((one) => one.server === name)
        .rounds.map((round) => round.echoes_per_s).sort((a, b) => a - b);
    const [own, base] = [of('iocp'), of('plain loop')].map((all) =>
        all[all.length >> 1]);
    const iocp = rows.find((row) => row.startsWith('iocp'));
    sure(iocp.includes(Math.round(own).toLocaleString('en-US')),
        `no ${own} in ${iocp}`);
    sure(iocp.includes((own / base).toFixed(2) + ' of baseline'),
        `no ratio in ${iocp}`);
    sure(rows.find((row) => row.startsWith('eventselect')).includes('invalid'),
        'invalid is not said');
    sure(rows.find((row) => row.startsWith('overlapped_event'))
        .includes('990 unserved'), 'unserved is not said');
}

// Fewest, median and most echoes of a client; and where there are none, why.
async function check_fair(page, { data }) {
    const scenario = data.scenarios.find(({ id }) => id === 'echo-64');
    const wanted = ['fewest', 'median', 'most'].map((which) => {
        const all = scenario.results.find((one) => one.server === 'iocp')
            .rounds.map((round) => round[which + '_echoes']).sort((a, b) =>
                a - b);
        return all[all.length >> 1].toLocaleString('en-US');
    }).join(' \u00b7 ');
    const rows = await page.$$eval('#fair tbody tr', (all) => all.map((row) =>
        [...row.children].map((cell) => cell.textContent)));
    same(rows.find(([name]) => name === 'iocp')[1], wanted, 'shares of iocp');
    same(rows.find(([name]) => name === 'overlapped_event')[2], '\u2013',
        'shares where somebody got nothing');
}

// Only what is exact is called exact, and a dash has its reason.
async function check_exact(page) {
    const row = async (section) => (await page.$$eval(
        `#${section} > .scroll tbody tr`, (all) => all.map((one) => one.textContent)))
        .find((one) => one.startsWith('overlapped_routine'));
    for (const section of ['counts', 'glance']) {
        sure((await row(section)).includes('2 to 4'), `${section}: no range`);
    }
    sure((await page.textContent('#plot-calls')).includes('0 to 2 SleepEx'),
        'the sleeps are no range');
    sure((await page.textContent('#missing')).includes(
        'no idle clients: connect: WSAETIMEDOUT'), 'a dash without a reason');
}

// Under Wine the counts come before the speeds, and the speeds are smaller.
async function check_room(page) {
    const order = await page.$$eval('section', (all) => all.map(({ id }) =>
        id));
    sure(order.indexOf('counts') < order.indexOf('glance'), order.join());
    const width = (id) => page.$eval(`#${id} .grid > div`, (one) =>
        one.clientWidth);
    sure(await width('load') < await width('counts') * .75, 'equally large');
    sure(/5 rounds of 7/.test(await page.textContent('#environment')),
        'the rounds that were left out');
}

async function check_notes(page) {
    const notes = await page.$$eval('figure', (all) => all.map((one) =>
        [one.dataset.figure, one.querySelector('.note').textContent]));
    for (const [figure, note] of notes) {
        sure(/n = \d|one client, 64 bytes/.test(note), `${figure} has no n`);
        sure(/(higher|more dots)[ :]/.test(note), `${figure}: higher means?`);
    }
    for (const figure of ['p99', 'percentiles']) {
        sure(/log axis/.test(notes.find(([id]) => id === figure)[1]),
            `${figure} hides its log axis`);
    }
}

async function check_wine(page) {
    sure((await page.textContent('#wine').catch(() => ''))
        .includes('nothing about speed on Windows'), 'no banner');
    sure(await page.isVisible('#counts .exact'), 'exact counts are not marked');
}

async function check_themes(page) {
    // The page hears of a change a moment later.
    const wait = async (dark, what) => {
        for (let i = 0; await is_dark(page) !== dark; i++) {
            sure(i < 20, what);
            await page.waitForTimeout(50);
        }
    };
    await wait(false, 'dark without a wish');
    await page.emulateMedia({ colorScheme: 'dark' });
    await wait(true, 'the system\'s wish is ignored');
    await page.click('#theme');
    await wait(false, 'the toggle does not win over the system');
    await page.reload();
    await wait(false, 'the toggle is forgotten');
    await page.click('#theme');
    await wait(true, 'the toggle does not go back');
    await page.emulateMedia({ media: 'print' });
    await wait(false, 'dark paper');
}

async function check_large(page) {
    const size = () => page.evaluate(() => ['body', 'svg.panel text', 'td'].map(
        (one) => document.querySelector(one)).map((node) =>
        parseFloat(getComputedStyle(node).fontSize) *
        (node.getScreenCTM?.().a ?? 1)));
    const before = await size();
    await page.click('#type');
    (await size()).forEach((after, i) =>
        sure(after / before[i] > 1.4, `${before[i]} became ${after}`));
    await no_overflow(page);
}

async function download(page, button) {
    const [file] = await Promise.all([
        page.waitForEvent('download', { timeout: 3000 }), page.click(button)]);
    return readFileSync(await file.path(), 'utf8');
}
async function check_json(page, { json }) {
    const told = await download(page, '#json');
    sure(told === json.replaceAll('<', '\\u003c'), 'other bytes came back');
    same(JSON.parse(told), JSON.parse(json), 'data');
}
async function check_csv(page, { data }) {
    const rows = (await download(page, '#csv')).split('\r\n');
    sure(rows.pop() === '', 'the last line has no end');
    const results = data.scenarios.flatMap((one) => one.results);
    const bad = results.filter((one) => !one.valid).length;
    same(rows.length, 1 + bad + sum(results.filter((one) => one.valid).map(
        (one) => one.rounds.length)), 'rows');
    same(rows.filter((row) => row.includes(',false,') &&
        /,true,/.test(row) === false && row.endsWith(','.repeat(13))).length,
    bad, 'invalid rows, without figures');
    const { seconds = data.scenarios[0].seconds, ...first } =
        results[0].rounds[0];
    sure(rows[1].endsWith(Object.values(first).join(',')), 'first row');
    same(+rows[1].split(`,${data.scenarios[0].bytes},`)[1].split(',')[0],
        seconds, 'seconds of the first round');
}

async function check_keyboard(page) {
    const wanted = await page.$$eval('.plot, button, .scroll, select',
        (all) => all.filter((one) => one.checkVisibility()).length);
    const seen = new Set();
    await page.keyboard.press('Tab');
    sure(await page.evaluate(() => document.activeElement.className) === 'skip',
        'the first stop is not the skip link');
    for (let i = 0; i < 200; i++) {
        await page.keyboard.press('Tab');
        const at = await page.evaluate(() => {
            const { activeElement: one } = document;
            one.number ??= window.number = (window.number ?? 0) + 1;
            return [one.number, one.matches('.plot, button, .scroll, select'),
                one === document.body, getComputedStyle(one).outlineStyle];
        });
        if (at[2] && seen.size > 0) {
            break;
        }
        if (at[1]) {
            sure(at[3] !== 'none', 'focus cannot be seen');
            seen.add(at[0]);
        }
    }
    same(seen.size, wanted, 'stops');
}

async function check_tips(page) {
    await page.focus('#plot-throughput');
    await page.keyboard.press('ArrowRight');
    const first = await page.textContent('#tip');
    sure(/plain loop . 1 client . [\d,]+ echoes\/s . round 1 of 5/.test(first),
        `the tip says ${first}`);
    await page.keyboard.press('End');
    const last = await page.textContent('#tip');
    sure(/iocp . 1,000 clients .* round 5 of 5/.test(last), `then ${last}`);
    const box = await page.locator('#tip').boundingBox();
    sure(box.y >= 0 && box.y + box.height < 720, 'the tip is out of sight');
    await page.keyboard.press('Escape');
    sure(!await page.isVisible('#tip'), 'Escape does not close it');
    await page.locator('#plot-memory .mark').nth(3).hover();
    sure((await page.textContent('#tip')).includes('18.0 KiB'), 'by pointer');
}

async function check_curves(page, { data }) {
    for (const [i, scenario] of data.scenarios.entries()) {
        await page.selectOption('#curves select', { index: i });
        same((await marks_of(page)).filter(({ figure }) =>
            figure === 'percentiles').length, sum(valid(scenario).map(
            (one) => one.percentiles.length)), scenario.name);
    }
    await page.click('#type');
    await check_marks(page, { data: { ...data, scenarios: data.scenarios.map(
        (one) => one.id === 'echo-64' ? { ...one, results: one.results.map(
            (result) => ({ ...result, percentiles: data.scenarios.at(-1)
                .results.find(({ server }) => server === result.server)
                .percentiles })) } : one) } });
}

async function check_screens(page, { shots = '' }) {
    for (const [name, width, height] of [['screen', 1280, 720],
        ['phone', 375, 812]]) {
        await page.setViewportSize({ width, height });
        await no_overflow(page);
        for (const theme of ['light', 'dark']) {
            await page.emulateMedia({ colorScheme: theme });
            const path = (kind) => fileURLToPath(
                new URL(`${shots}${name}-${theme}${kind}.png`, BUILD));
            await page.screenshot({ path: path('') });
            await page.screenshot({ path: path('-page'), fullPage: true });
        }
    }
}

async function check_print(page) {
    await page.emulateMedia({ media: 'print' });
    for (const control of ['#theme', '#json', 'nav', '#curves select',
        'summary']) {
        sure(!await page.isVisible(control), `${control} on paper`);
    }
    sure(await page.isVisible('#plot-throughput svg'), 'no chart on paper');
}

async function check_empty(page) {
    sure((await page.textContent('#problem').catch(() => ''))
        .includes('no data in this page'), 'no message');
    same([await page.$$eval('figure, #main table', (all) => all.length),
        await page.isVisible('#json')], [0, false], 'figures, downloads');
}

async function check_hostile(page, { data }) {
    same(await page.$$eval('img, #main script, [onerror], iframe', (all) =>
        all.length), 0, 'elements made from names');
    sure(!await page.evaluate(() => window.broken), 'a name was run');
    const words = await page.textContent('#main');
    for (const { name, path } of data.servers) {
        sure(words.includes(name), `${name} is not shown as text`);
        sure(words.includes(path), `${path} is not shown as text`);
    }
    await check_marks(page, { data });
    await no_overflow(page);
    const rows = (await download(page, '#csv'));
    sure(!/(^|,|")[=+@]/m.test(rows), 'a spreadsheet would run a name');
}

// Only what is there is shown, and never as zero.
async function check_sparse(page) {
    same(await page.$$eval('figure', (all) => all.map((one) =>
        one.dataset.figure)), ['throughput'], 'figures');
    same((await marks_of(page)).map(({ y }) => +y), [5, 7], 'marks');
    const cells = await page.$$eval('#glance td', (all) =>
        all.map((one) => one.textContent));
    // A round trip of 0 was measured: it may be told, but has no place on the
    // log axis of its figure.
    sure(cells.includes('0 \u00b5s'), 'a measured zero is hidden');
    sure(!cells.some((cell) => /^0(?! \u00b5s$)/.test(cell)),
        `shown as zero: ${cells}`);
    sure(!await page.isVisible('#wine'), 'Wine is not told of');
}

/* ---- Data of other kinds ---- */

function hostile_data() {
    const data = JSON.parse(SAMPLE);
    const names = ['<img src=x onerror="window.broken=1">',
        '</script><script>window.broken=1</script>', '<!--<script>',
        '=HYPERLINK("x")&amp;"\'`${1}', 'a'.repeat(70) + '\u2028\u0416$&'];
    names.forEach((name, i) => {
        const old = data.servers[i + 1].name;
        data.servers[i + 1].name = name;
        data.servers[i + 1].path = 'C:\\' + name;
        for (const scenario of data.scenarios) {
            for (const one of scenario.results) {
                if (one.server === old) {
                    one.server = name;
                }
            }
        }
    });
    data.environment.cpu = '<b>"cpu"</b>';
    return data;
}
const SPARSE = { format: 1, environment: { wine: null }, servers: [null,
    { name: 'iocp', model: 'iocp', capacity: null, calls: [{ name: 'x' }] }],
scenarios: [{ id: 'echo-1', kind: 'echo', clients: 1, headline: true, results: [
    { server: 'iocp', valid: true, rounds: [{ echoes_per_s: 5, p99_us: 0 },
        { echoes_per_s: null }, { echoes_per_s: 7, cpu_us_per_echo: '3' }] },
    { server: 'mine', why: 'crashed', rounds: [{ echoes_per_s: 9 }] }] }] };

/* ---- All of them, and for each a way to break the page ---- */

const PAGES = {
    sample: SAMPLE, empty: '{}', hostile: JSON.stringify(hostile_data()),
    sparse: JSON.stringify(SPARSE), unreadable: '{"format":1,',
};
// [page, what it says, check, what to break: text and what takes its place]
const CHECKS = [
    ['sample', 'as many marks as points in each figure', check_marks,
        'found.map((value, i) =>', 'found.slice(1).map((value, i) =>'],
    ['sample', 'each mark has its value, and higher is higher', check_values,
        "'data-y': point.y,", "'data-y': point.y + 1,"],
    ['sample', 'panels have one scale, from zero', check_one_scale,
        ': linear(0, high * 1.04', ': linear(high / 2, high * 1.04'],
    ['sample', 'a line of medians in each panel', check_medians,
        "line('median', server)", "line('context', server)"],
    ['sample', 'invalid results are listed and not charted', check_invalid,
        'result.valid === true', 'true'],
    ['sample', 'a server has one colour and one shape', check_looks,
        'polygon(3, 180), 1.3', 'polygon(3, 0), 1.3'],
    ['sample', 'the headline states medians and ratios', check_headline,
        'median(own) / median(base)', 'median(base) / median(own)'],
    ['sample', 'what each client got', check_fair,
        "which + '_echoes'));", "'most_echoes'));"],
    ['sample', 'only what is exact is called exact', check_exact,
        'server.sleeps_at_most > 0 ?', 'server.sleeps_at_most > 9 ?'],
    ['sample', 'Wine\'s speeds take less room than the counts', check_room,
        "part.classList.add('compact')", "part.classList.add('large')"],
    ['sample', 'each figure states unit, n and what higher means', check_notes,
        'spec.n, spec.higher].join', 'spec.n].join'],
    ['sample', 'measured under Wine is said', check_wine,
        'return wine ? html', 'return !wine ? html'],
    ['sample', 'light and dark: the system\'s, and the toggle wins',
        check_themes, "chosen_theme ?? (SYSTEM", "null ?? (SYSTEM"],
    ['sample', 'large type for a projector, also in the figures', check_large,
        'clientWidth / shown_scale()', 'clientWidth'],
    ['sample', 'the JSON comes back byte for byte', check_json,
        "'application/json', RAW", "'application/json', JSON.stringify(data)"],
    ['sample', 'the CSV has a row for each round', check_csv,
        'is_valid(one) && one.rounds.length', 'one.rounds.length'],
    ['sample', 'Tab reaches each figure, table and button', check_keyboard,
        "class: 'plot', tabindex: '0'", "class: 'plot', tabindex: '-1'"],
    ['sample', 'arrow keys and pointer read the marks', check_tips,
        'ArrowRight: at + 1', 'ArrowRight: at + 2'],
    ['sample', 'curves of any load, in any size', check_curves,
        'show(chosen[choice.selectedIndex])', 'show(chosen[0])'],
    ['sample', '1280x720 and 375x812 need no sideways scrolling',
        check_screens, '.scroll { overflow-x: auto;', '.scroll {'],
    ['sample', 'paper shows figures and no controls', check_print,
        '.controls, nav, .skip, #tip,', '.skip, #tip,'],
    ['empty', 'the template says that it is empty', check_empty,
        'Object.keys(data).length === 0', 'false'],
    ['unreadable', 'data that cannot be read is told', async (page) =>
        sure((await page.textContent('#problem')).includes('cannot be read'),
            'no message'), 'The data in this page cannot be read', 'Sorry'],
    ['hostile', 'names are text, whatever is in them', check_hostile,
        'node.append(...children.flat().filter((child) =>',
        'node.innerHTML += children.flat().filter((one) => typeof one === ' +
        '"string").join(""); node.append(...children.flat().filter((child) =>' +
        ' typeof child !== "string" &&'],
    ['sparse', 'what is missing is left out', check_sparse,
        "typeof value === 'number' && isFinite(value)", 'value !== undefined'],
];
const QUIET = ['no errors, no dialogs, nothing from the network'];

function quiet(pages) {
    for (const page of Object.values(pages)) {
        same(page.troubles, [], `${page.address.pathname.split('/').pop()}`);
        same(page.requests.filter((url) => !/^(file|data|blob):/.test(url)), [],
            'requests');
    }
    sure(TEMPLATE.length && !/\b(src|href)="(https?:)?\/\//.test(TEMPLATE),
        'the template names the network');
}

/* ---- Running ---- */

let passed = 0, failed = 0;
async function check(words, run) {
    try {
        await run();
        passed++;
        console.log('ok     ' + words);
    } catch (error) {
        failed++;
        const [first] = error.message.split('\n');
        console.log(`FAILED ${words}: ${first.slice(0, 300)}`);
    }
}
const look = (page, name, test) => page.visit({}, (tab) =>
    test(tab, { json: PAGES[name], data: name === 'unreadable' ? null :
        JSON.parse(PAGES[name]) }));

async function run_checks(browser) {
    const pages = {};
    for (const [name, json] of Object.entries(PAGES)) {
        pages[name] = new Page(browser, name === 'sample' ? 'report.html' :
            `${name}.html`, name === 'empty' ? TEMPLATE : fill(TEMPLATE, json));
    }
    for (const [name, words, test] of CHECKS) {
        await check(words, () => look(pages[name], name, test));
    }
    await check(QUIET[0], () => quiet(pages));
}

// A page of compare.exe: whatever it was given must be on it.
const MADE = [check_marks, check_values, check_invalid, check_notes,
    check_json, check_csv, check_screens];
async function run_page(browser, file) {
    const content = readFileSync(file, 'utf8');
    const json = /<script id="data"[^>]*>([^]*?)<\/script>/.exec(content)[1];
    const page = new Page(browser, 'made.html', content);
    for (const test of MADE) {
        const words = CHECKS.find((one) => one[2] === test)[1];
        await check('made page: ' + words, () => page.visit({}, (tab) =>
            test(tab, { json, data: JSON.parse(json), shots: 'made-' })));
    }
    await check('made page: ' + QUIET[0], () => quiet({ page }));
}

// A check that cannot fail proves nothing.
async function run_broken(browser) {
    for (const [name, words, test, from, to] of CHECKS) {
        await check(`broken: ${words}`, async () => {
            sure(TEMPLATE.includes(from), `nothing to break: ${from}`);
            const template = TEMPLATE.replaceAll(from, () => to);
            const page = new Page(browser, 'broken.html',
                name === 'empty' ? template : fill(template, PAGES[name]));
            const told = await look(page, name, test).then(() => null,
                (error) => error.message.split('\n')[0]);
            sure(told !== null, 'not noticed');
            console.log(`         ${told.slice(0, 100)}`);
        });
    }
    for (const [what, extra] of [['error', 'nobody.knows();'],
        ['network', 'new Image().src = "http://127.0.0.1:9/x.png";']]) {
        await check(`broken: ${QUIET[0]}: ${what}`, async () => {
            const page = new Page(browser, 'broken.html', TEMPLATE.replace(
                '\n</script>\n</body>', (end) => extra + end));
            await page.visit({}, (tab) => tab.waitForTimeout(200));
            let told = null;
            try {
                quiet({ page });
            } catch (error) {
                told = error.message;
            }
            sure(told, 'not noticed');
            console.log(`         ${told.slice(0, 100)}`);
        });
    }
}

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'] });
try {
    const [how, file] = process.argv.slice(2);
    await (how === '--broken' ? run_broken : how === '--page' ? run_page :
        run_checks)(browser, file);
} finally {
    await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
