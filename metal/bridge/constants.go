//go:build (darwin && arm64 && cgo) || standin

package bridge

// Values of Apple's enumerations.
const (
	storageModeShared      = 0          // MTLResourceStorageModeShared
	languageVersion31      = 3<<16 | 1  // MTLLanguageVersion3_1, the first with bfloat
	languageVersion40      = 4 << 16    // MTLLanguageVersion4_0, the first with tensors; macOS 26
	mathModeSafe           = 0          // MTLMathModeSafe
	mathFunctionsPrecise   = 1          // MTLMathFloatingPointFunctionsPrecise; 0, the default, is Fast
	dispatchTypeConcurrent = 1          // MTLDispatchTypeConcurrent
	barrierScopeBuffers    = 1          // MTLBarrierScopeBuffers
	statusCompleted        = 4          // MTLCommandBufferStatusCompleted; below, it has not ended
	familyApple            = 1000       // MTLGPUFamilyApple1 is 1001
	familyMetal4           = 5002       // MTLGPUFamilyMetal4
	dataTypeFloat          = 3          // MTLDataTypeFloat
	dataTypeInt            = 29         // MTLDataTypeInt
	dataTypeUint           = 33         // MTLDataTypeUInt
	dataTypeBool           = 53         // MTLDataTypeBool
	activityUserInitiated  = 0x00ffffff // NSActivityUserInitiated
	activityNoIdleSleep    = 1 << 20    // NSActivityIdleSystemSleepDisabled
)
