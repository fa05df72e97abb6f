/* SPDX-License-Identifier: MIT */
/* The 16550A (National PC16550D data sheet): registers, FIFOs, times of characters. Limits: uart.h. */
#include <stdio.h>
#include <stdlib.h>
#include "io/serial/uart.h"

#define FIFO 16u
#define QUEUE 65536u /* a power of two */

enum {
	IER_RDA = 0x01, IER_THRE = 0x02, IER_RLS = 0x04, IER_MS = 0x08,
	IIR_NONE = 0x01, IIR_MS = 0x00, IIR_THRE = 0x02, IIR_RDA = 0x04, IIR_RLS = 0x06, IIR_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0,
	FCR_ENABLE = 0x01, FCR_RX_RESET = 0x02, FCR_TX_RESET = 0x04, FCR_KEPT = 0xc9,
	LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_DLAB = 0x80,
	MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
	LSR_DR = 0x01, LSR_OE = 0x02, LSR_ERRORS = 0x1e, LSR_THRE = 0x20, LSR_TEMT = 0x40,
	MSR_DELTA = 0x0f, MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
};

struct uart {
	u8 ier, fcr, lcr, mcr, scr;
	u8 lsr;            /* error bits only: the others are computed */
	u8 msr;
	u16 divisor;
	u8 fifo[FIFO];
	u8 head, count;    /* of fifo; without FIFOs count is at most 1 */
	bool timed_out;    /* the character timeout has passed with something in the FIFO */
	bool thre;         /* a THRE interrupt waits */
	bool sending;      /* thre_at was not yet noticed */
	u64 thre_at;       /* virtual ns at which the holding register or FIFO is empty */
	u64 sent_at;       /* virtual ns at which the shift register is empty too */
	u8 queue[QUEUE];   /* what comes in from outside */
	u32 queue_head, queue_count;
	u32 queue_used;    /* bytes that were ever put there */
	bool out;          /* level of the interrupt line */
	struct event receive, timeout, transmit;
	struct {
		struct clock *clock;
		struct line irq;
		void (*out)(void *owner, const void *data, size_t len);
		void *owner;
		u32 hz;
		u64 ns;    /* a character on the wire; derived from lcr and divisor */
		bool instant; /* what is sent takes no time */
		const char *name;
		char event[3][24];
	} wire;
};

static const struct field uart_fields[] = {
	FIELD(struct uart, ier, U8), FIELD(struct uart, fcr, U8), FIELD(struct uart, lcr, U8),
		FIELD(struct uart, mcr, U8),
	FIELD(struct uart, scr, U8), FIELD(struct uart, lsr, U8), FIELD(struct uart, msr, U8),
	FIELD(struct uart, divisor, U16),
	FIELDS(struct uart, fifo, U8),
	FIELD_MAX(struct uart, head, U8, FIFO - 1), FIELD_MAX(struct uart, count, U8, FIFO),
	FIELD(struct uart, timed_out, BOOL), FIELD(struct uart, thre, BOOL), FIELD(struct uart, sending, BOOL),
	FIELD(struct uart, thre_at, U64), FIELD(struct uart, sent_at, U64),
	FIELDS_USED(struct uart, queue, U8, queue_used),
	FIELD_MAX(struct uart, queue_head, U32, QUEUE - 1), FIELD_MAX(struct uart, queue_count, U32, QUEUE),
	FIELD(struct uart, out, BOOL),
	FIELD(struct uart, receive, EVENT), FIELD(struct uart, timeout, EVENT), FIELD(struct uart, transmit, EVENT),
	FIELD_END
};

static u64 now(const struct uart *uart)
{
	return uart->wire.clock->now;
}

static bool fifos(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE;
}

/* Characters that make a receive interrupt. */
static unsigned trigger(const struct uart *uart)
{
	static const u8 level[4] = { 1, 4, 8, 14 };

	return fifos(uart) ? level[uart->fcr >> 6] : 1;
}

/* Start bit, 5 to 8 data bits, parity, 1, 1.5 or 2 stop bits; 16 clocks of crystal / divisor each. Counted in half
 * bits. */
static void set_speed(struct uart *uart)
{
	unsigned data = 5 + (uart->lcr & 3), halves = 2 + 2 * data + 2;
	u64 divisor = uart->divisor ? uart->divisor : 1;

	if (uart->lcr & LCR_PARITY)
		halves += 2;
	if (uart->lcr & LCR_STOP)
		halves += data == 5 ? 1 : 2;
	uart->wire.ns = (halves * 8 * divisor * 1000000000u + uart->wire.hz - 1) / uart->wire.hz;
}

static unsigned cause(const struct uart *uart)
{
	if ((uart->ier & IER_RLS) && (uart->lsr & LSR_ERRORS))
		return IIR_RLS;
	if ((uart->ier & IER_RDA) && uart->count >= trigger(uart))
		return IIR_RDA;
	if ((uart->ier & IER_RDA) && uart->timed_out && uart->count)
		return IIR_TIMEOUT;
	if ((uart->ier & IER_THRE) && uart->thre)
		return IIR_THRE;
	if ((uart->ier & IER_MS) && (uart->msr & MSR_DELTA))
		return IIR_MS;
	return IIR_NONE;
}

/* Notice that the transmitter has run empty, and look again at that moment if somebody wants to know. */
static void catch_up(struct uart *uart)
{
	u64 when = CLOCK_NEVER;

	if (uart->sending && now(uart) >= uart->thre_at) {
		uart->sending = false;
		uart->thre = true;
	}
	if (uart->sending && (uart->ier & IER_THRE))
		when = uart->thre_at;
	clock_arm(uart->wire.clock, &uart->transmit, when);
}

/* On a PC, OUT2 is the gate of the interrupt; in loopback the pin is high, the gate shut. */
static void uart_update(struct uart *uart)
{
	bool out;

	catch_up(uart);
	out = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && cause(uart) != IIR_NONE;
	if (out == uart->out)
		return;
	uart->out = out;
	line_set(&uart->wire.irq, out);
}

static bool room(const struct uart *uart)
{
	return uart->count < (fifos(uart) ? FIFO : 1);
}

/* The next character from outside is on its way, unless it must wait. */
static void arm_receive(struct uart *uart)
{
	bool go = uart->queue_count && room(uart) && !(uart->mcr & MCR_LOOP);

	if (go && uart->receive.when != CLOCK_NEVER)
		return;
	clock_arm(uart->wire.clock, &uart->receive, go ? clock_in(uart->wire.clock, uart->wire.ns) : CLOCK_NEVER);
}

/* Something happened to the receive FIFO: the time of four characters starts again. */
static void arm_timeout(struct uart *uart)
{
	bool go = fifos(uart) && uart->count && !uart->timed_out;

	clock_arm(uart->wire.clock, &uart->timeout, go ? clock_in(uart->wire.clock, 4 * uart->wire.ns) : CLOCK_NEVER);
}

static void put(struct uart *uart, u8 byte)
{
	if (!room(uart)) { /* only a loopback can do that */
		uart->lsr |= LSR_OE;
		if (!fifos(uart))
			uart->fifo[uart->head] = byte;
		return;
	}
	uart->fifo[(uart->head + uart->count++) % FIFO] = byte;
	uart->timed_out = false;
	arm_timeout(uart);
}

static u8 take(struct uart *uart)
{
	u8 byte = uart->fifo[uart->head];

	if (!uart->count)
		return byte;
	uart->head = (uart->head + 1) % FIFO;
	uart->count--;
	uart->timed_out = false;
	arm_timeout(uart);
	arm_receive(uart);
	return byte;
}

static void receive(void *owner, u64 late)
{
	struct uart *uart = owner;

	(void)late;
	if (uart->queue_count && room(uart) && !(uart->mcr & MCR_LOOP)) {
		put(uart, uart->queue[uart->queue_head]);
		uart->queue_head = (uart->queue_head + 1) % QUEUE;
		uart->queue_count--;
	}
	arm_receive(uart);
	uart_update(uart);
}

static void timeout(void *owner, u64 late)
{
	struct uart *uart = owner;

	(void)late;
	uart->timed_out = uart->count != 0;
	uart_update(uart);
}

static void transmit(void *owner, u64 late)
{
	(void)late;
	uart_update(owner);
}

/* An idle shift register takes the byte at once and leaves THR empty; otherwise it waits behind what is being sent. */
static void send(struct uart *uart, u8 byte)
{
	u64 depth = fifos(uart) ? FIFO : 1;

	uart->thre = false;
	if (uart->wire.instant)
		uart_update(uart); /* the interrupt goes, and comes again: an edge, if nobody has taken it back */
	uart->sending = true;
	if (uart->wire.instant) {
		uart->thre_at = uart->sent_at = now(uart);
	} else if (now(uart) >= uart->sent_at) {
		uart->thre_at = now(uart);
		uart->sent_at = clock_in(uart->wire.clock, uart->wire.ns);
	} else if (uart->sent_at - now(uart) <= depth * uart->wire.ns) {
		uart->thre_at = uart->sent_at;
		uart->sent_at += uart->wire.ns;
	}
	if (uart->mcr & MCR_LOOP)
		put(uart, byte);
	else if (uart->wire.out)
		uart->wire.out(uart->wire.owner, &byte, 1);
}

static void write_ier(struct uart *uart, u8 value)
{
	catch_up(uart);
	if ((value & ~uart->ier & IER_THRE) && !uart->sending)
		uart->thre = true; /* enabling it asks at once */
	uart->ier = value & 0x0f;
}

static void write_fcr(struct uart *uart, u8 value)
{
	bool flip = (value ^ uart->fcr) & FCR_ENABLE;

	if (!(value & FCR_ENABLE)) /* other bits count only together with it */
		value = 0;
	uart->fcr = value & FCR_KEPT;
	if (flip || (value & FCR_RX_RESET)) {
		uart->count = 0;
		uart->timed_out = false;
		arm_timeout(uart);
	}
	if ((flip || (value & FCR_TX_RESET)) && uart->sending)
		uart->thre_at = now(uart);
	arm_receive(uart);
}

/* In loopback the modem outputs are the modem inputs; otherwise a peer is there and ready. */
static void set_modem(struct uart *uart)
{
	u8 lines = MSR_CTS | MSR_DSR | MSR_DCD, changed;

	if (uart->mcr & MCR_LOOP)
		lines = (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
			(uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
	changed = (uart->msr ^ lines) >> 4;
	if (lines & MSR_RI) /* only its trailing edge counts */
		changed &= ~MSR_TERI;
	uart->msr = lines | (uart->msr & MSR_DELTA) | changed;
}

static u8 read_lsr(struct uart *uart)
{
	u64 t = now(uart), thre_at = t < uart->thre_at ? uart->thre_at : CLOCK_NEVER,
	    sent_at = t < uart->sent_at ? uart->sent_at : CLOCK_NEVER;
	u8 value = uart->lsr;

	if (uart->count)
		value |= LSR_DR;
	if (t >= uart->thre_at)
		value |= LSR_THRE;
	if (t >= uart->sent_at)
		value |= LSR_TEMT;
	if (uart->lsr) {
		uart->lsr = 0;
		uart_update(uart);
	} else {
		clock_steady(uart->wire.clock, thre_at < sent_at ? thre_at : sent_at);
	}
	return value;
}

static u8 read_iir(struct uart *uart)
{
	unsigned value;

	catch_up(uart);
	value = cause(uart);
	if (value == IIR_THRE) {
		uart->thre = false;
		uart_update(uart);
	}
	return (u8)(value | (fifos(uart) ? IIR_FIFOS : 0));
}

static u64 read_uart(void *owner, u64 offset, unsigned size)
{
	struct uart *uart = owner;
	u8 value;

	(void)size;
	switch (offset) {
	case 0:
		if (uart->lcr & LCR_DLAB)
			return uart->divisor & 0xff;
		value = take(uart);
		uart_update(uart);
		return value;
	case 1: return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
	case 2: return read_iir(uart);
	case 3: return uart->lcr;
	case 4: return uart->mcr;
	case 5: return read_lsr(uart);
	case 6:
		value = uart->msr;
		uart->msr &= ~MSR_DELTA;
		uart_update(uart);
		return value;
	default: return uart->scr;
	}
}

static void write_divisor(struct uart *uart, u16 divisor)
{
	uart->divisor = divisor;
	set_speed(uart);
}

static void write_uart(void *owner, u64 offset, unsigned size, u64 value)
{
	struct uart *uart = owner;
	u8 byte = (u8)value;

	(void)size;
	switch (offset) {
	case 0:
		if (uart->lcr & LCR_DLAB)
			write_divisor(uart, (uart->divisor & 0xff00) | byte);
		else
			send(uart, byte);
		break;
	case 1:
		if (uart->lcr & LCR_DLAB)
			write_divisor(uart, (u16)(byte << 8 | (uart->divisor & 0xff)));
		else
			write_ier(uart, byte);
		break;
	case 2:
		write_fcr(uart, byte);
		break;
	case 3:
		uart->lcr = byte;
		set_speed(uart);
		break;
	case 4:
		uart->mcr = byte & 0x1f;
		set_modem(uart);
		arm_receive(uart);
		break;
	case 7:
		uart->scr = byte;
		break;
	default: /* LSR and MSR: factory tests write them, nobody else */
		break;
	}
	uart_update(uart);
}

static const struct device_ops uart_ops = { read_uart, write_uart, 1, 1 };

bool uart_input(struct uart *uart, const void *data, size_t len)
{
	const u8 *bytes = data;

	if (len > QUEUE - uart->queue_count)
		return false;
	for (size_t i = 0; i < len; i++) {
		u32 at = (uart->queue_head + uart->queue_count++) % QUEUE;

		uart->queue[at] = bytes[i];
		if (at >= uart->queue_used)
			uart->queue_used = at + 1;
	}
	arm_receive(uart);
	return true;
}

/* The combinations that the registers cannot reach. */
static void uart_post_load(void *state)
{
	struct uart *uart = state;

	uart->ier &= 0x0f;
	uart->fcr &= FCR_KEPT;
	uart->mcr &= 0x1f;
	uart->lsr &= LSR_ERRORS;
	if (!fifos(uart) && uart->count > 1)
		uart->count = 1;
	set_speed(uart);
}

void uart_set_crystal(struct uart *uart, u32 hz)
{
	uart->wire.hz = hz ? hz : UART_HZ;
	set_speed(uart);
}

void uart_set_instant(struct uart *uart)
{
	uart->wire.instant = true;
}

struct uart *uart_new(struct space *ports, struct clock *clock, const char *name, u16 base, struct line irq,
		void (*out)(void *owner, const void *data, size_t len), void *owner)
{
	static const char *const suffix[3] = { "receive", "timeout", "transmit" };
	struct uart *uart = calloc(1, sizeof *uart);

	if (!uart)
		return NULL;
	uart->wire.clock = clock;
	uart->wire.irq = irq;
	uart->wire.out = out;
	uart->wire.owner = owner;
	uart->wire.name = name;
	uart->divisor = 1; /* undefined in the data sheet: 115200 baud, 8N1 */
	uart->lcr = 0x03;
	uart->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	uart_set_crystal(uart, UART_HZ);
	if (space_add_device(ports, name, base, 8, &uart_ops, uart) < 0) {
		free(uart);
		return NULL;
	}
	for (unsigned i = 0; i < 3; i++)
		snprintf(uart->wire.event[i], sizeof uart->wire.event[i], "%.12s %s", name, suffix[i]);
	clock_add(clock, &uart->receive, uart->wire.event[0], receive, uart);
	clock_add(clock, &uart->timeout, uart->wire.event[1], timeout, uart);
	clock_add(clock, &uart->transmit, uart->wire.event[2], transmit, uart);
	return uart;
}

void uart_free(struct uart *uart)
{
	free(uart);
}

void uart_refresh(struct uart *uart)
{
	line_set(&uart->wire.irq, uart->out);
}

struct part uart_part(struct uart *uart)
{
	return (struct part){
		.name = uart->wire.name, .state = uart, .fields = uart_fields, .post_load = uart_post_load
	};
}
