import Bench
import Testing

struct SampleTests {
    @Test
    func `a percentile is the smallest value that so many per cent don't exceed`() {
        let sample = Sample((1...100).reversed().map(Double.init))
        #expect(sample.count == 100)
        #expect((sample.min, sample.max) == (1, 100))
        #expect((sample.p90, sample.p95, sample.p99) == (90, 95, 99))
    }

    @Test
    func `the median of an odd number of values is the one in the middle, of an even number the mean of two`() {
        #expect(Sample([3, 1, 2]).p50 == 2)
        #expect(Sample([4, 1, 3, 2]).p50 == 2.5)
    }

    @Test
    func `a single value is all there is to it`() {
        let sample = Sample([7.5])
        #expect(
            [sample.min, sample.p50, sample.p90, sample.p95, sample.p99, sample.max] == Array(repeating: 7.5, count: 6))
    }

    @Test
    func `high percentiles of few values are the largest`() {
        let sample = Sample([1, 2, 3, 4, 5])
        #expect((sample.p50, sample.p90, sample.p99) == (3, 5, 5))
    }

    @Test
    func `a comparison's ratio is that of the medians`() {
        let comparison = Comparison([10, 20, 1000], to: [40, 30, 50])
        #expect(comparison.ratio == 0.5)
        #expect(comparison.measured.max == 1000)
        #expect(comparison.compared.p50 == 40)
    }
}
