package metal

import "coil/backend"

func Windows(bp backend.Program) func(l *Launch, bind int) (int, bool) {
	p := bp.(*program)
	return func(l *Launch, bind int) (int, bool) {
		for i := range p.launches {
			if &p.launches[i] == l {
				a := p.steps[i].args
				if bind < len(a) {
					if a[bind].access == 0 {
						return 0, true
					}
					return int(a[bind].length), true
				}
				return 0, false
			}
		}
		return 0, false
	}
}

func PipelineKeys(m *Metal) (ks []string) {
	for k := range m.pipelines {
		ks = append(ks, k)
	}
	return
}
