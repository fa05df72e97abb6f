/* SPDX-License-Identifier: MIT */
/* Devices in words: what their registers mean, by the data sheets. All fields are there, too: `info PART' shows them
 * behind. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static uint64_t field(struct session *s, const char *part, unsigned index, const char *name)
{
	uint64_t value;

	field_value(s, part, name, index, &value);
	return value;
}

static void print_bits(FILE *out, const char *what, unsigned bits, unsigned first)
{
	if (!bits)
		return;
	fputs(what, out);
	for (unsigned i = 0; i < 32; i++)
		if (bits >> i & 1)
			fprintf(out, " %u", first + i);
}

/* Intel 8259A: ICW2 is the first vector; ICW4 bit 1 is automatic EOI. */
static void pic(struct session *s, const char *part)
{
	static const char *const chips[2] = { "MASTER", "SLAVE" };
	char name[64];

	for (unsigned i = 0; i < 2; i++) {
		unsigned v[6];
		static const char *const names[6] = { "icw2", "imr", "latch", "lines", "isr", "elcr" };

		for (unsigned k = 0; k < 6; k++) {
			snprintf(name, sizeof name, "chip[%s].%s", chips[i], names[k]);
			v[k] = (unsigned)field(s, part, 0, name);
		}
		fprintf(s->out, "%s: vectors 0x%02x-0x%02x", i ? "IRQ 8-15" : "IRQ 0-7", v[0], v[0] + 7);
		print_bits(s->out, "; masked", v[1], 8 * i);
		print_bits(s->out, "; requested", v[2] | (v[3] & v[5]), 8 * i);
		print_bits(s->out, "; in service", v[4], 8 * i);
		print_bits(s->out, "; level-triggered", v[5], 8 * i);
		fputc('\n', s->out);
	}
}

/* Intel 8254: 1.193182 MHz; a count of 0 is 65536. */
static void pit(struct session *s, const char *part)
{
	static const char *const modes[] = { "interrupt on terminal count", "one-shot", "rate generator", "square wave",
		"software strobe",
		"hardware strobe" };
	static const char *const uses[] = { "IRQ 0", "refresh", "speaker" };
	char name[64];

	for (unsigned i = 0; i < 3; i++) {
		unsigned mode, count;

		snprintf(name, sizeof name, "counter[%u].mode", i);
		mode = (unsigned)field(s, part, 0, name);
		snprintf(name, sizeof name, "counter[%u].count", i);
		count = (unsigned)field(s, part, 0, name);
		snprintf(name, sizeof name, "counter[%u].running", i);
		fprintf(s->out, "counter %u (%s): mode %u, %s", i, uses[i], mode, mode < 6 ? modes[mode] : "?");
		if (!field(s, part, 0, name))
			fprintf(s->out, ", stands still\n");
		else
			fprintf(s->out, ", count %u: %.3f %s\n", count ? count : 65536,
				mode == 2 || mode == 3 ? 1193181.8 / (count ? count : 65536)
						       : (count ? count : 65536) / 1193.1818,
				mode == 2 || mode == 3 ? "Hz" : "ms");
	}
}

static const char *const deliveries[8] = { "", ", lowest priority", ", SMI", ", reserved", ", NMI", ", INIT",
	", reserved",
	", ExtINT (the 8259's)" };

/* SDM vol. 3, figure 11-8. */
static void apic(struct session *s, const char *part)
{
	static const char *const lvts[] = { "timer", "thermal", "performance", "LINT0", "LINT1", "error" };
	static const char *const timers[] = { "one-shot", "periodic", "TSC deadline", "reserved" };
	uint64_t svr = field(s, part, 0, "svr");
	bool any = false;

	fprintf(s->out, "APIC ID %u, %s, task priority %u\n", (unsigned)field(s, part, 0, "id"), svr >> 8 & 1
		? "enabled" : "disabled",
		(unsigned)field(s, part, 0, "tpr") >> 4);
	for (unsigned i = 0; i < 6; i++) {
		unsigned lvt = (unsigned)field(s, part, i, "lvt");

		fprintf(s->out, "%s: ", lvts[i]);
		if (lvt >> 16 & 1)
			fprintf(s->out, "masked\n");
		else
			fprintf(s->out, "vector 0x%02x%s%s%s\n", lvt & 0xff, i ? deliveries[lvt >> 8 & 7] : "",
				i ? "" : ", ", i ? "" : timers[lvt >> 17 & 3]);
	}
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < 8; i++) {
			unsigned bits = (unsigned)field(s, part, i, k ? "isr" : "irr");

			for (unsigned b = 0; b < 32; b++)
				if (bits >> b & 1)
					fprintf(s->out, "%svector 0x%02x %s", any ? ", " : "", 32 * i + b,
						k ? "in service" : "requested"),
						any = true;
		}
	if (any)
		fputc('\n', s->out);
}

/* Intel 82093AA, redirection table: 63-56 destination, 16 masked, 15 level, 14 remote IRR, 13 active low, 11 logical,
 * 10-8 delivery, 7-0 vector */
static void ioapic(struct session *s, const char *part)
{
	for (unsigned i = 0; i < 24; i++) {
		uint64_t e = field(s, part, i, "entry");

		if (e >> 16 & 1)
			continue;
		fprintf(s->out, "pin %2u: vector 0x%02x%s, %s, active %s, to %s 0x%02x%s\n", i, (unsigned)(e & 0xff),
			deliveries[e >> 8 & 7],
			e >> 15 & 1 ? "level" : "edge",
			e >> 13 & 1 ? "low" : "high", e >> 11 & 1 ? "logical" : "APIC", (unsigned)(e >> 56), e >> 14 & 1
			? ", in service" : "");
	}
	fprintf(s->out, "the other pins are masked\n");
}

/* National PC16550D: LCR 1-0 data bits, 2 stop bits, 4-3 parity; IER; MCR 0 DTR, 1 RTS, 4 loopback */
static void uart(struct session *s, const char *part)
{
	static const char *const parities[] = { "N", "O", "N", "E", "N", "1", "N", "0" };
	unsigned lcr = (unsigned)field(s, part, 0, "lcr"), divisor = (unsigned)field(s, part, 0, "divisor"),
		ier = (unsigned)field(s, part, 0,
		"ier"),
		mcr = (unsigned)field(s, part, 0, "mcr");

	fprintf(s->out, "%u baud, %u%s%s; FIFOs %s; interrupts:%s%s%s%s%s%s%s%s\n", divisor ? 115200 / divisor : 115200,
		5 + (lcr & 3),
		parities[lcr >> 3 & 7],
		lcr & 4 ? lcr & 3 ? "2" : "1.5" : "1", field(s, part, 0, "fcr") & 1 ? "on" : "off", ier & 1
		? " received" : "", ier & 2 ?
			" transmitter empty" : "",
		ier & 4 ? " line status" : "", ier & 8 ? " modem status" : "", ier & 15 ? "" : " none", mcr & 1
		? "; DTR" : "", mcr & 2 ? ", RTS" : "",
		mcr & 16 ? "; loopback" : "");
	fprintf(s->out, "%u bytes received wait to be read, %u more to be received\n",
		(unsigned)field(s, part, 0, "count"), (unsigned)field(s,
		part, 0, "queue_count"));
}

/* Motorola MC146818A: registers A to D are bytes 10 to 13; B: 7 SET 6 PIE 5 AIE 4 UIE 2 binary 1 24 hours */
static void rtc(struct session *s, const char *part)
{
	unsigned b = (unsigned)field(s, part, 11, "cmos"), rate = (unsigned)field(s, part, 10, "cmos") & 15;

	fprintf(s->out, "%" PRIu64 " seconds since 1970; periodic rate %u%s%s%s%s; %s, %s hours\n",
		field(s, part, 0, "seconds"), rate ?
		65536 >> rate : 0, b & 0x40 ? ", interrupting" : "",
		b & 0x20 ? "; alarm" : "", b & 0x10 ? "; update interrupts" : "", b & 0x80 ? "; being set" : "", b & 4
		? "binary" : "BCD", b & 2 ?
			"24" : "12");
}

bool device_words(struct session *s, const char *part)
{
	static const struct { const char *name; void (*print)(struct session *s, const char *part); } words[] = {
		{ "pic", pic }, { "pit", pit }, { "apic", apic }, { "ioapic", ioapic }, { "com", uart }, { "rtc", rtc },
	};
	size_t n = strcspn(part, "0123456789");
	uint64_t value;

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i].name) == n && !strncmp(words[i].name, part, n) &&
			field_value(s, part, i == 0 ? "out" : i == 1 ? "port61" :
			i == 2 ? "svr" : i == 3 ?
				"lines" : i == 4 ? "lcr" : "nmi_masked", 0, &value)) {
			words[i].print(s, part);
			fputc('\n', s->out);
			return true;
		}
	return false;
}

struct clock { struct session *s; uint64_t now; };

static void print_event(void *user, const char *name, uint64_t when)
{
	struct clock *c = user;

	if (when == UINT64_MAX)
		fprintf(c->s->out, "%-24s not armed\n", name);
	else
		fprintf(c->s->out, "%-24s %" PRIu64 " ns, in %" PRId64 "\n", name, when, (int64_t)(when - c->now));
}

bool info_clock(struct session *s, const char *args)
{
	struct clock c = { s, vcpu_virtual_ns(s->machine) };

	(void)args;
	fprintf(s->out, "it is %" PRIu64 " ns\n", c.now);
	vcpu_debug_clock(s->debug, print_event, &c);
	return true;
}
