/* SPDX-License-Identifier: MIT */
/* Why a run ended, in a sentence: for people who write a small kernel, and look at its end. */
#ifndef DIAGNOSIS_H
#define DIAGNOSIS_H

#include <vcpu_debug.h>

enum { DIAGNOSIS = 512 };

/* MACHINE has stopped with VCPU_STOP_TRIPLE_FAULT: the first fault, and why its handler could not be entered. False:
 * it has not. */
bool diagnosis_triple_fault(vcpu *machine, char text[DIAGNOSIS]);
/* MACHINE, of one processor, debugged by DEBUG: it is in HLT, and why no interrupt comes. FOR_EVER: no device has an
 * event on its way. False: it is awake, or no reason is known. */
bool diagnosis_asleep(vcpu *machine, const vcpu_debug *debug, bool for_ever, char text[DIAGNOSIS]);

#endif
