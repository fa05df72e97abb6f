/* SPDX-License-Identifier: MIT */
/* The MC146818 real-time clock and its CMOS RAM, 128 bytes (Motorola MC146818A data sheet).
 *
 *     port 70h: bit 7 masks NMI, bits 6-0 are the index      port 71h: the byte
 *
 * The time of day is the start time plus virtual time; the chip's divider is in phase with virtual time zero.
 *
 * Not modelled: the square wave, daylight saving, an empty battery (VRT is always set), the day-of-month alarm. */
#ifndef IO_RTC_H
#define IO_RTC_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct rtc;

/* Takes ports 70h-71h. START: seconds since 1970-01-01 00:00:00 UTC at virtual time zero. RAM: bytes of memory, for the
 * size registers (15h-18h, 30h-31h, 34h-35h, 5Bh-5Dh), laid out with a hole below 4 GiB from LOW_END (bytes below 4
 * GiB; the rest is above). NMI_MASK is high while port 70h masks NMI. NULL: no memory. */
struct rtc *rtc_new(struct space *ports, struct clock *clock, struct line irq8, struct line nmi_mask, u64 start,
		    u64 ram, u64 low_end);
void rtc_free(struct rtc *rtc);
void rtc_refresh(struct rtc *rtc);
/* RESET#: takes back the interrupts; the chip runs on its battery. */
void rtc_reset(struct rtc *rtc);
struct part rtc_part(struct rtc *rtc);

#endif
