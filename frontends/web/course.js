// SPDX-License-Identifier: MIT
// A course's page: the cases of a JUnit file that examples/grade wrote, and for each that failed a link that opens its
// recording at the failure, which is its end. #results=URL; by default results.xml beside the page. Recordings are where
// the file is.
import { element } from './panels.js';

const status = document.getElementById('status');

function row(testcase, base) {
	const failure = testcase.querySelector('failure');
	const output = element('pre', {}, testcase.querySelector('system-out')?.textContent ?? '');
	const recording = testcase.querySelector('property[name="recording"]')?.getAttribute('value');
	const words = recording && new URLSearchParams({ recording: new URL(recording, base).href, at: 'end' });
	const link = words ? [element('a', { href: `./index.html#${words}` }, 'Open at the failure')] : [];

	return element('tr', { className: failure ? 'failed' : 'passed' },
		element('th', { scope: 'row' }, testcase.getAttribute('name')),
		element('td', {}, failure ? `failed: ${failure.getAttribute('message')}` : 'passed'),
		element('td', { className: 'time' }, `${Number(testcase.getAttribute('time')).toFixed(6)} s`),
		element('td', {}, element('details', {}, element('summary', { className: 'button' }, 'Output'), output)),
		element('td', {}, ...link));
}

async function show() {
	const named = new URLSearchParams(location.hash.slice(1)).get('results');
	const address = new URL(named ?? 'results.xml', location.href);

	try {
		const answer = await fetch(address);

		if (!answer.ok)
			throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
		const results = new DOMParser().parseFromString(await answer.text(), 'application/xml');
		const cases = [...results.querySelectorAll('testcase')];
		const passed = cases.filter((testcase) => !testcase.querySelector('failure'));

		if (!cases.length)
			throw new Error(`${address}: there are no results in it`);
		document.querySelector('#cases tbody').replaceChildren(...cases.map((each) => row(each, address)));
		status.textContent = `${passed.length} of ${cases.length} passed`;
		status.classList.remove('error');
	} catch (error) {
		status.textContent = error.message;
		status.classList.add('error');
	}
}

onhashchange = show;
show();
