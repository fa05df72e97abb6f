/* SPDX-License-Identifier: MIT */
/* What a guest can do to devices, a step at a time: any write to any register of any of them, rings and packets that
 * are not all nonsense, time that passes, input, a state that is saved and loaded. All accesses are as a processor
 * makes them. Whatever comes, the host must not crash, hang or run out of memory. */
#ifndef DEVICE_STEPS_H
#define DEVICE_STEPS_H

#include "mem/base/bits.h"

enum { DEVICE_MACHINES = 6 };

/* Made by the user of this: the next BYTES of what decides, 0 to 8; more may be given. */
u64 device_choice(unsigned bytes);

/* 0 to 5, with all devices that there are; ends the process if it cannot be made */
struct vcpu *device_machine(unsigned kind);
void device_step(struct vcpu *v);

#endif
