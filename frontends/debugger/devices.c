/* SPDX-License-Identifier: MIT */
/* Devices in words: the meaning of their registers, by the data sheets. `info PART' prints all fields after that. */
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

/* Intel 8259A: ICW2 is the first vector; ICW4 bit 1 is automatic EOI. */
static void pic(struct session *s, const char *part)
{
	static const char *const chips[2] = { "MASTER", "SLAVE" };
	char name[64];

	json_open(s, "chips", '[');
	for (unsigned i = 0; i < 2; i++) {
		unsigned v[6];
		static const char *const names[6] = { "icw2", "imr", "latch", "lines", "isr", "elcr" };

		for (unsigned k = 0; k < 6; k++) {
			snprintf(name, sizeof name, "chip[%s].%s", chips[i], names[k]);
			v[k] = (unsigned)field(s, part, 0, name);
		}
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "irq", i ? "IRQ %" PRIu64 "-15: " : "IRQ %" PRIu64 "-7: ", 8 * i);
		SHOW_NUMBER(s, "vector", "vectors 0x%02" PRIx64, v[0]);
		fprintf(s->out, "-0x%02x", v[0] + 7);
		show_bits(s, "masked", "; masked", v[1], 8 * i);
		show_bits(s, "requested", "; requested", v[2] | (v[3] & v[5]), 8 * i);
		show_bits(s, "in_service", "; in service", v[4], 8 * i);
		show_bits(s, "level", "; level-triggered", v[5], 8 * i);
		fputc('\n', s->out);
		json_close(s);
	}
	json_close(s);
}

/* Intel 8254: 1.193182 MHz; a count of 0 is 65536. */
static void print_counter(struct session *s, const char *part, unsigned i)
{
	static const char *const modes[] = { "interrupt on terminal count", "one-shot", "rate generator", "square wave",
		"software strobe",
		"hardware strobe" };
	static const char *const uses[] = { "IRQ 0", "refresh", "speaker" };
	unsigned mode, count;
	char name[64];
	bool running;

	snprintf(name, sizeof name, "counter[%u].mode", i);
	mode = (unsigned)field(s, part, 0, name);
	snprintf(name, sizeof name, "counter[%u].count", i);
	count = (unsigned)field(s, part, 0, name);
	count = count ? count : 65536;
	snprintf(name, sizeof name, "counter[%u].running", i);
	running = field(s, part, 0, name);
	SHOW_NUMBER(s, "counter", "counter %" PRIu64, i);
	SHOW_STRING(s, "use", " (%s)", uses[i]);
	SHOW_NUMBER(s, "mode", ": mode %" PRIu64, mode);
	SHOW_STRING(s, "kind", ", %s", mode < 6 ? modes[mode] : "?");
	show_flag(s, "running", running, "", ", stands still\n");
	if (!running)
		return;
	SHOW_NUMBER(s, "count", ", count %" PRIu64, count);
	fprintf(s->out, ": %.3f %s\n", mode == 2 || mode == 3 ? 1193181.8 / count : count / 1193.1818,
		mode == 2 || mode == 3 ? "Hz" : "ms");
}

static void pit(struct session *s, const char *part)
{
	json_open(s, "counters", '[');
	for (unsigned i = 0; i < 3; i++) {
		json_open(s, NULL, '{');
		print_counter(s, part, i);
		json_close(s);
	}
	json_close(s);
}

static const char *const deliveries[8] = { "fixed", "lowest priority", "SMI", "reserved", "NMI", "INIT", "reserved",
	"ExtINT (the 8259's)" };

/* The text leaves the usual one out. */
static void print_delivery(struct session *s, unsigned mode)
{
	if (mode)
		SHOW_STRING(s, "delivery", ", %s", deliveries[mode]);
	else
		json_cstring(s, "delivery", deliveries[mode]);
}

/* SDM vol. 3, figure 11-8. */
static void print_lvt(struct session *s, unsigned i, unsigned lvt)
{
	static const char *const names[] = { "timer", "thermal", "performance", "LINT0", "LINT1", "error" };
	static const char *const timers[] = { "one-shot", "periodic", "TSC deadline", "reserved" };

	json_open(s, NULL, '{');
	SHOW_STRING(s, "name", "%s: ", names[i]);
	show_flag(s, "masked", lvt >> 16 & 1, "masked", "");
	if (!(lvt >> 16 & 1)) {
		SHOW_NUMBER(s, "vector", "vector 0x%02" PRIx64, lvt & 0xff);
		if (i)
			print_delivery(s, lvt >> 8 & 7);
		else
			SHOW_STRING(s, "mode", ", %s", timers[lvt >> 17 & 3]);
	}
	fputc('\n', s->out);
	json_close(s);
}

static void apic(struct session *s, const char *part)
{
	bool any = false;

	SHOW_NUMBER(s, "id", "APIC ID %" PRIu64, field(s, part, 0, "id"));
	show_flag(s, "enabled", field(s, part, 0, "svr") >> 8 & 1, ", enabled", ", disabled");
	SHOW_NUMBER(s, "priority", ", task priority %" PRIu64 "\n", field(s, part, 0, "tpr") >> 4);
	json_open(s, "lvt", '[');
	for (unsigned i = 0; i < 6; i++)
		print_lvt(s, i, (unsigned)field(s, part, i, "lvt"));
	json_close(s);
	for (unsigned k = 0; k < 2; k++) {
		json_open(s, k ? "in_service" : "requested", '[');
		for (unsigned i = 0; i < 8; i++) {
			unsigned bits = (unsigned)field(s, part, i, k ? "isr" : "irr");

			for (unsigned b = 0; b < 32; b++) {
				if (!(bits >> b & 1))
					continue;
				fputs(any ? ", " : "", s->out);
				SHOW_NUMBER(s, NULL, "vector 0x%02" PRIx64, 32 * i + b);
				fputs(k ? " in service" : " requested", s->out);
				any = true;
			}
		}
		json_close(s);
	}
	if (any)
		fputc('\n', s->out);
}

/* Intel 82093AA, redirection table: 63-56 destination, 16 masked, 15 level, 14 remote IRR, 13 active low, 11 logical,
 * 10-8 delivery, 7-0 vector */
static void ioapic(struct session *s, const char *part)
{
	json_open(s, "pins", '[');
	for (unsigned i = 0; i < 24; i++) {
		uint64_t e = field(s, part, i, "entry");

		if (e >> 16 & 1)
			continue;
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "pin", "pin %2" PRIu64, i);
		SHOW_NUMBER(s, "vector", ": vector 0x%02" PRIx64, e & 0xff);
		print_delivery(s, e >> 8 & 7);
		show_flag(s, "level", e >> 15 & 1, ", level", ", edge");
		show_flag(s, "low", e >> 13 & 1, ", active low", ", active high");
		show_flag(s, "logical", e >> 11 & 1, ", to logical", ", to APIC");
		SHOW_NUMBER(s, "destination", " 0x%02" PRIx64, e >> 56);
		show_flag(s, "in_service", e >> 14 & 1, ", in service", "");
		fputc('\n', s->out);
		json_close(s);
	}
	json_close(s);
	fprintf(s->out, "the other pins are masked\n");
}

/* National PC16550D: LCR 1-0 data bits, 2 stop bits, 4-3 parity; IER; MCR 0 DTR, 1 RTS, 4 loopback */
static void uart(struct session *s, const char *part)
{
	static const char *const parities[] = { "N", "O", "N", "E", "N", "1", "N", "0" };
	unsigned lcr = (unsigned)field(s, part, 0, "lcr"), divisor = (unsigned)field(s, part, 0, "divisor"),
		ier = (unsigned)field(s, part, 0, "ier"), mcr = (unsigned)field(s, part, 0, "mcr");

	SHOW_NUMBER(s, "baud", "%" PRIu64 " baud", divisor ? 115200 / divisor : 115200);
	SHOW_NUMBER(s, "data_bits", ", %" PRIu64, 5 + (lcr & 3));
	SHOW_STRING(s, "parity", "%s", parities[lcr >> 3 & 7]);
	SHOW_STRING(s, "stop_bits", "%s", lcr & 4 ? lcr & 3 ? "2" : "1.5" : "1");
	show_flag(s, "fifo", field(s, part, 0, "fcr") & 1, "; FIFOs on", "; FIFOs off");
	fprintf(s->out, "; interrupts:%s", ier & 15 ? "" : " none");
	json_open(s, "interrupts", '{');
	show_flag(s, "received", ier & 1, " received", "");
	show_flag(s, "transmitter_empty", ier & 2, " transmitter empty", "");
	show_flag(s, "line_status", ier & 4, " line status", "");
	show_flag(s, "modem_status", ier & 8, " modem status", "");
	json_close(s);
	show_flag(s, "dtr", mcr & 1, "; DTR", "");
	show_flag(s, "rts", mcr & 2, ", RTS", "");
	show_flag(s, "loopback", mcr & 16, "; loopback\n", "\n");
	SHOW_NUMBER(s, "to_read", "%" PRIu64 " bytes received wait to be read", field(s, part, 0, "count"));
	SHOW_NUMBER(s, "queued", ", %" PRIu64 " more to be received\n", field(s, part, 0, "queue_count"));
}

/* Motorola MC146818A: registers A to D are bytes 10 to 13; B: 7 SET 6 PIE 5 AIE 4 UIE 2 binary 1 24 hours */
static void rtc(struct session *s, const char *part)
{
	unsigned b = (unsigned)field(s, part, 11, "cmos"), rate = (unsigned)field(s, part, 10, "cmos") & 15;

	SHOW_NUMBER(s, "seconds", "%" PRIu64 " seconds since 1970", field(s, part, 0, "seconds"));
	SHOW_NUMBER(s, "rate", "; periodic rate %" PRIu64, rate ? 65536 >> rate : 0);
	show_flag(s, "periodic", b & 0x40, ", interrupting", "");
	show_flag(s, "alarm", b & 0x20, "; alarm", "");
	show_flag(s, "update", b & 0x10, "; update interrupts", "");
	show_flag(s, "set", b & 0x80, "; being set", "");
	show_flag(s, "binary", b & 4, "; binary", "; BCD");
	show_flag(s, "hours_24", b & 2, ", 24 hours\n", ", 12 hours\n");
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
			json_open(s, "device", '{');
			words[i].print(s, part);
			json_close(s);
			fputc('\n', s->out);
			return true;
		}
	return false;
}

struct clock { struct session *s; uint64_t now; };

static void print_event(void *user, const char *name, uint64_t when)
{
	struct clock *c = user;
	struct session *s = c->s;

	json_open(s, NULL, '{');
	SHOW_STRING(s, "name", "%-24s ", name);
	show_flag(s, "armed", when != UINT64_MAX, "", "not armed\n");
	if (when != UINT64_MAX) {
		SHOW_NUMBER(s, "ns", "%" PRIu64 " ns", when);
		SHOW_NUMBER(s, "in", ", in %" PRId64 "\n", when - c->now);
	}
	json_close(s);
}

bool info_clock(struct session *s, const char *args)
{
	struct clock c = { s, vcpu_virtual_ns(s->machine) };

	(void)args;
	json_open(s, "clock", '{');
	SHOW_NUMBER(s, "ns", "it is %" PRIu64 " ns\n", c.now);
	json_open(s, "events", '[');
	vcpu_debug_clock(s->debug, print_event, &c);
	json_close(s);
	json_close(s);
	return true;
}
