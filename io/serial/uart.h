/* SPDX-License-Identifier: MIT */
/* The 16550A serial port (National PC16550D data sheet).
 *
 * A character takes the time that divisor and line control say, on virtual time, in both directions. Characters that
 * come in from outside wait in a queue of 64 KiB, which is part of the state, and arrive one by one; the sender waits
 * while the chip has no room, so that nothing is lost on the way in. What a guest writes to a full transmitter is sent
 * all the same.
 *
 * Not modelled: DMA modes, break, parity and framing errors (a wire without noise); in loopback a character arrives at
 * once. */
#ifndef IO_UART_H
#define IO_UART_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct uart;

/* NAME ("com1") names the part and must outlive it. Takes ports BASE to BASE+7. OUT (may be NULL) gets what the guest
 * sends. NULL: no memory. */
struct uart *uart_new(struct space *ports, struct clock *clock, const char *name, u16 base, struct line irq,
		void (*out)(void *owner, const void *data, size_t len), void *owner);
void uart_free(struct uart *uart);
/* Bytes from outside. False, and nothing is taken, if the queue has no room for all of them. */
bool uart_input(struct uart *uart, const void *data, size_t len);
/* The crystal, in Hz: UART_HZ unless the board has another one. A character of 10 bits takes 160 * divisor / HZ
 * seconds. A board with a faster one shortens the polling of guests that print through the port; they do not notice
 * otherwise. Call it before the first use. */
#define UART_HZ 1843200u
void uart_set_crystal(struct uart *uart, u32 hz);
/* The transmitter is empty again at once, which no wire allows. Call it before the first use. */
void uart_set_instant(struct uart *uart);
void uart_refresh(struct uart *uart);
struct part uart_part(struct uart *uart);

#endif
