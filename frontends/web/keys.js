// SPDX-License-Identifier: MIT
// KeyboardEvent.code to scan codes of set 1, as the i8042 delivers them.

const PLAIN = Object.fromEntries([
	['Escape', 0x01], ...'1234567890'.split('').map((c, i) => [`Digit${c}`, 2 + i]), ['Minus', 0x0c], ['Equal', 0x0d],
	['Backspace', 0x0e], ['Tab', 0x0f], ...'QWERTYUIOP'.split('').map((c, i) => [`Key${c}`, 0x10 + i]), ['BracketLeft', 0x1a],
	['BracketRight', 0x1b], ['Enter', 0x1c], ['ControlLeft', 0x1d], ...'ASDFGHJKL'.split('').map((c, i) => [`Key${c}`, 0x1e + i]),
	['Semicolon', 0x27], ['Quote', 0x28], ['Backquote', 0x29], ['ShiftLeft', 0x2a], ['Backslash', 0x2b],
	...'ZXCVBNM'.split('').map((c, i) => [`Key${c}`, 0x2c + i]), ['Comma', 0x33], ['Period', 0x34], ['Slash', 0x35],
	['ShiftRight', 0x36], ['NumpadMultiply', 0x37], ['AltLeft', 0x38], ['Space', 0x39], ['CapsLock', 0x3a],
	...Array.from({ length: 10 }, (_, i) => [`F${i + 1}`, 0x3b + i]), ['NumLock', 0x45], ['ScrollLock', 0x46], ['Numpad7', 0x47],
	['Numpad8', 0x48], ['Numpad9', 0x49], ['NumpadSubtract', 0x4a], ['Numpad4', 0x4b], ['Numpad5', 0x4c], ['Numpad6', 0x4d],
	['NumpadAdd', 0x4e], ['Numpad1', 0x4f], ['Numpad2', 0x50], ['Numpad3', 0x51], ['Numpad0', 0x52], ['NumpadDecimal', 0x53],
	['IntlBackslash', 0x56], ['F11', 0x57], ['F12', 0x58],
]);
const EXTENDED = {
	NumpadEnter: 0x1c, ControlRight: 0x1d, NumpadDivide: 0x35, AltRight: 0x38, Home: 0x47, ArrowUp: 0x48, PageUp: 0x49,
	ArrowLeft: 0x4b, ArrowRight: 0x4d, End: 0x4f, ArrowDown: 0x50, PageDown: 0x51, Insert: 0x52, Delete: 0x53, MetaLeft: 0x5b,
	MetaRight: 0x5c, ContextMenu: 0x5d,
};

/** The bytes of a key that goes down or up; null: a PC has no such key. */
export function scanCode(code, up) {
	const release = up ? 0x80 : 0;

	if (code in PLAIN)
		return new Uint8Array([PLAIN[code] | release]);
	return code in EXTENDED ? new Uint8Array([0xe0, EXTENDED[code] | release]) : null;
}
