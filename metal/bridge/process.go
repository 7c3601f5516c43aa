//go:build (darwin && arm64 && cgo) || standin

package bridge

import (
	"sync"

	"github.com/progrium/darwinkit/objc"

	"coil/metal"
)

// process is this process as macOS sees it.
type process struct {
	mu       sync.Mutex
	info     objc.Object
	activity objc.Object // that keeps macOS from sleeping and from slowing the process down
	lowPower bool        // there is isLowPowerModeEnabled

	processInfo, beginActivity, endActivity, thermalState, isLowPowerModeEnabled *message
}

func newProcess() process {
	return process{
		processInfo:           newMessage("processInfo", typeID),
		beginActivity:         newMessage("beginActivityWithOptions:reason:", typeID, typeUint, typeID),
		endActivity:           newMessage("endActivity:", typeVoid, typeID),
		thermalState:          newMessage("thermalState", typeInt),
		isLowPowerModeEnabled: newMessage("isLowPowerModeEnabled", typeBool),
	}
}

func (p *process) begin() {
	p.info = p.processInfo.send(classNamed("NSProcessInfo")).object().Retain()
	p.lowPower = p.info.RespondsToSelector(p.isLowPowerModeEnabled.selector) // macOS 12
	reason := address(objc.ToNSString("training a model"))
	p.activity = p.beginActivity.send(p.info, activityUserInitiated|activityNoIdleSleep, reason).object().Retain()
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.activity.IsNil() {
		p.endActivity.send(p.info, address(p.activity.Ptr()))
	}
	release(&p.activity)
	release(&p.info)
}

func (p *process) condition() (c metal.Condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.info.IsNil() {
		return c
	}
	objc.WithAutoreleasePool(func() {
		// NSProcessInfoThermalState counts from nominal, 0, to critical.
		if t := p.thermalState.send(p.info).uint(); t <= uint64(metal.ThermalCritical-metal.ThermalNominal) {
			c.Thermal = metal.ThermalNominal + metal.Thermal(t)
		}
		c.LowPower = p.lowPower && p.isLowPowerModeEnabled.send(p.info).bool()
	})
	return c
}
