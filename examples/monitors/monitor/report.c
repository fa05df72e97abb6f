/* SPDX-License-Identifier: MIT */
/* What the monitor says itself, on COM1: its counters when the guest has switched off. And the C library's
 * functions that compilers call. */
#include "monitor.h"

enum { COM1 = 0x3f8, COUNTERS = 64 };
void (*before_report)(void);
static struct { const char *what; u32 n; } counters[COUNTERS];

void say(const char *text)
{
	for (; *text; text++) {
		while (!(in8(COM1 + 5) & 0x20))
			;
		out8(COM1, (u8)*text);
	}
}

void say_number(u32 value)
{
	char text[11], *p = text + 10;

	*p = 0;
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	say(p);
}

void say_hex(u32 value)
{
	char text[9] = { 0 };

	for (int i = 7; i >= 0; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 15];
	say(text);
}

void count(const char *what) { add(what, 1); }

void add(const char *what, u32 n)
{
	unsigned i = 0;

	while (i < COUNTERS - 1 && counters[i].what && counters[i].what != what)
		i++;
	counters[i].what = what;
	counters[i].n += n;
}

void finish(void)
{
	if (before_report)
		before_report();
	for (unsigned i = 0; counters[i].what; i++) {
		say_number(counters[i].n);
		say(" ");
		say(counters[i].what);
		say("\n");
	}
	__asm__ volatile("outw %w0, %w1" : : "a"(0x2000), "d"(0x604));
	for (;;)
		__asm__ volatile("cli; hlt");
}

void die(const char *why)
{
	say("stopped: ");
	say(why);
	say(" at eip ");
	say_hex(cpu.eip);
	say("\n");
	finish();
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

void *memset(void *to, int value, size_t n)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
	return start;
}
